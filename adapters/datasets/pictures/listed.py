"""Lists of pictures: a file name and a label, or boxes under ``objects``."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.datasets.formats import Row
from adapters.datasets.media import metadata
from adapters.datasets.media.layout import Layout, Search
from adapters.datasets.pictures.objects import OBJECTS, boxes_of


def find(search: Search) -> Layout | None:
    """The pictures that metadata files list; None without such a file."""
    return metadata.find(search, _FORMS)


def _choose(search: Search, names: Sequence[str], sample: Sequence[Row]) -> str:
    return OBJECTS if any(isinstance(row.values.get(OBJECTS), dict | list) for row in sample) else "metadata"


_FORMS = metadata.Forms(
    choose=_choose, said={"metadata": "labels", OBJECTS: "boxes"}, boxes=boxes_of, boxes_column=OBJECTS
)
