"""Boxes under ``objects`` in a row of ``metadata.jsonl``, in the form of Hugging Face's imagefolder."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from adapters.datasets.formats import Row
from adapters.datasets.media.layout import RawBox
from adapters.datasets.media.metadata import row_problem
from adapters.datasets.problems import Problem

OBJECTS = "objects"
_CLASSES = ("categories", "category", "labels", "label", "classes", "class")


def boxes_of(row: Row) -> tuple[RawBox, ...] | Problem:
    """The boxes of one picture, possibly none: lists side by side, or a list of objects with a box and a class each."""
    objects = row.values.get(OBJECTS)
    if isinstance(objects, list) and all(isinstance(each, dict) for each in objects):
        boxes, classes = [each.get("bbox") for each in objects], [_classes(each) for each in objects]
    elif isinstance(objects, dict) and isinstance(objects.get("bbox"), list):
        boxes, named = objects["bbox"], _classes(objects)
        classes = named if isinstance(named, list) else []
    else:
        said, fix = f"{OBJECTS} is missing or not of the form that is read", "empty lists where there is nothing"
        return row_problem(row, "invalid_objects", said, f"Write {_FORM}; {fix}.")
    if len(boxes) != len(classes):
        said = f"{OBJECTS} has {len(boxes)} boxes and {len(classes)} classes"
        return row_problem(row, "invalid_objects", said, f"Write {_FORM}, as many of each.")
    return tuple(
        RawBox(class_name(label), four_numbers(values), f"box {place}")
        for place, (values, label) in enumerate(zip(boxes, classes, strict=True), start=1)
    )


def class_name(value: object) -> str | None:
    """A class as a list names it, in one line; None for what is no name."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = " ".join(str(value).split())
    return text if text and text.isprintable() else None


def four_numbers(values: object) -> tuple[float, float, float, float] | None:
    """Left, top, width, height, or None for anything but four finite numbers."""
    if not isinstance(values, Sequence) or len(values) != 4:
        return None
    try:
        x, y, width, height = (float(value) for value in values if not isinstance(value, bool | str))
    except (TypeError, ValueError, OverflowError):
        return None
    return (x, y, width, height) if all(map(math.isfinite, (x, y, width, height))) else None


def _classes(objects: Mapping[str, object]) -> object:
    return next((objects[key] for key in _CLASSES if key in objects), None)


_FORM = '"objects": {"bbox": [[x, y, width, height], …], "categories": ["name", …]}'
