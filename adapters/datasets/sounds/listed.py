"""Lists of clips: a file name, and a label or a transcript."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.datasets.columns import find_columns, named_columns
from adapters.datasets.formats import Row
from adapters.datasets.media import metadata
from adapters.datasets.media.layout import Layout, Search
from adapters.datasets.problems import DatasetFault
from adapters.datasets.schema import Schema, media_schemas

LABELS, TRANSCRIPTS = "metadata", "transcripts"


def find(search: Search) -> Layout | None:
    """The clips that metadata files list; None without one that says anything of them but their speakers and such."""
    return metadata.find(search, metadata.Forms(choose=_choose, said={LABELS: "labels", TRANSCRIPTS: "transcripts"}))


def _choose(search: Search, names: Sequence[str], sample: Sequence[Row]) -> str | None:
    """What is asked for or chosen, else what the columns are called, else what they look like.

    A list of speakers beside folders of classes says nothing; one with both labels and transcripts is of transcripts.
    """
    schemas = {next(iter(set(schema.layouts) - {"folders"})): schema for schema in media_schemas("audio")}
    for layout, schema in schemas.items():
        roles = {role.name for role in schema.roles}
        if search.task == schema.task or (roles & search.chosen.keys() - {"audio"}):
            return layout
    named = [layout for layout in (TRANSCRIPTS, LABELS) if _has_all(schemas[layout], names)]
    if named:
        return named[0]
    if len({path[0] for name in search.tree.media if len(path := search.tree.below(name)) > 1}) > 1:
        return None
    try:
        find_columns(schemas[LABELS], names, sample, search.chosen)
    except DatasetFault:
        return TRANSCRIPTS
    return LABELS


def _has_all(schema: Schema, names: Sequence[str]) -> bool:
    """Whether a column is called as one that says something of the file."""
    return any(role != "audio" for role in named_columns(schema, names))
