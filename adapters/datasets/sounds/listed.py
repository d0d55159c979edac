"""Lists of clips: a file name, and a label or a transcript."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.datasets.columns import find_columns, named_columns
from adapters.datasets.formats import Row
from adapters.datasets.media import metadata
from adapters.datasets.media.layout import Layout, Search
from adapters.datasets.problems import DatasetFault
from adapters.datasets.schema import Schema, schema_of_layout

LABELS, TRANSCRIPTS = "metadata", "transcripts"


def find(search: Search) -> Layout | None:
    """The clips that metadata files list; None without one that says anything of them but their speakers and such."""
    return metadata.find(search, metadata.Forms(choose=_choose, said={LABELS: "labels", TRANSCRIPTS: "transcripts"}))


def _choose(search: Search, names: Sequence[str], sample: Sequence[Row]) -> str | None:
    """By the columns chosen, else by what they are called, else by their looks; what the task asked for needs first.

    A list of speakers beside folders of classes says nothing; one with both labels and transcripts is of transcripts.
    """
    schemas = {TRANSCRIPTS: schema_of_layout(TRANSCRIPTS, "audio"), LABELS: schema_of_layout(LABELS, "audio")}
    order = sorted(schemas, key=lambda layout: schemas[layout].task != search.task)
    for layout in order:
        if {role.name for role in schemas[layout].roles} & search.chosen.keys() - {"audio"}:
            return layout
    named = [layout for layout in order if _says_something(schemas[layout], names)]
    has_folders = len({path[0] for name in search.tree.media if len(path := search.tree.below(name)) > 1}) > 1
    if has_folders and (not named or search.task == schemas[LABELS].task != schemas[named[0]].task):
        return None
    if named:
        return named[0]
    try:
        find_columns(schemas[LABELS], names, sample, search.chosen)
    except DatasetFault:
        return TRANSCRIPTS
    return TRANSCRIPTS if search.task == schemas[TRANSCRIPTS].task else LABELS


def _says_something(schema: Schema, names: Sequence[str]) -> bool:
    """Whether a column is called as one that says something of the file."""
    return any(role != "audio" for role in named_columns(schema, names))
