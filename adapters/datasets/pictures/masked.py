"""Pictures with masks: ``images/1.jpg``, ``masks/1.png`` and the classes' names in ``classes.json``."""

from __future__ import annotations

import json

from adapters.datasets.archives import shown
from adapters.datasets.media.layout import Candidate, Layout, Search
from adapters.datasets.pictures.masks import IGNORED_VALUE
from adapters.datasets.pictures.objects import class_name
from adapters.datasets.problems import fault

CLASSES_FILE = "classes.json"
IGNORED_NAMES = frozenset({"unlabelled", "unlabeled", "void", "ignore", "ignored"})
_IMAGES = frozenset({"images", "image"})
_MASKS = frozenset({"masks", "mask"})
_FORM = 'Write the names in the order of the values, such as ["background", "nucleus"]; null for a value to ignore.'
_NAMES_BYTES = 1024 * 1024
_VALUE_DIGITS = 10  # Python refuses to read a number of thousands


def find(search: Search) -> Layout | None:
    """Pictures and masks go by the same path but for the folder's name and the suffix; None without both folders."""
    tree = search.tree
    images: dict[str, str] = {}
    masks: dict[str, str] = {}
    for name in tree.used(tree.media):
        parts = name.split("/")
        at = next((place for place, part in enumerate(parts[:-1]) if part.casefold() in _IMAGES | _MASKS), None)
        if at is None:
            continue
        key = "/".join([*parts[:at], "", *parts[at + 1 :]]).removesuffix("." + name.rsplit(".", 1)[-1])
        group = images if parts[at].casefold() in _IMAGES else masks
        if key in group:
            message = f"{shown(name)}: another file of that folder has the same name but for its suffix."
            raise fault("ambiguous_name", message, "Give every picture and its mask a name of their own.", file=name)
        group[key] = name
    if not images or not masks:
        return None
    files = [name for name in tree.used(tree.others) if name.rsplit("/", 1)[-1].casefold() == CLASSES_FILE]
    labels = _names(search, files)
    lonely = [masks[key] for key in sorted(masks.keys() - images.keys())]
    said = "a mask without a picture; it is not used"
    search.note_files("warning", "mask_unused", lonely, said, "Add the picture under the same name.")
    return Layout(
        name="masks",
        holds="pictures and masks",
        candidates=tuple(
            Candidate(row=row, line=row, file=images[key], mask=masks.get(key))
            for row, key in enumerate(sorted(images), start=1)
        ),
        labels=labels,
        lists=tuple(files),
    )


def _names(search: Search, files: list[str]) -> tuple[str | None, ...]:
    if not files:
        message = f"The zip has images and masks, but no {CLASSES_FILE} that names the values of the masks."
        raise fault("classes_missing", message, _FORM)
    found = {read_names(search, name) for name in files}
    if len(found) > 1:
        message = f"The zip has several {CLASSES_FILE}, and they differ."
        raise fault("invalid_classes", message, "Keep one for all pictures.", file=files[0])
    return found.pop()


def read_names(search: Search, name: str) -> tuple[str | None, ...]:
    """Names by value, None where a value is not to be learnt; raises ``DatasetFault``.

    Read are a list of names, a list of objects with id and name, and an object from value to name.
    """
    try:
        if search.archive.entries[name].size > _NAMES_BYTES:
            raise ValueError("too large")
        document = json.loads(search.open(name).read())
    except (ValueError, RecursionError):
        raise fault("invalid_json", f"{shown(name)}: not valid JSON.", _FORM, file=name) from None
    values = _by_value(document)
    if values is None or not all(0 <= value <= IGNORED_VALUE for value in values):
        message = f"{shown(name)}: neither a list of names nor an object from value (0 to {IGNORED_VALUE}) to name."
        raise fault("invalid_classes", message, _FORM, file=name)
    named = [label for label in values.values() if label is not None]
    if len(set(named)) < len(named):
        raise fault("invalid_classes", f"{shown(name)}: one name stands for two values.", _FORM, file=name)
    values.pop(IGNORED_VALUE, None)
    return tuple(values.get(value) for value in range(max(values, default=-1) + 1))


def _by_value(document: object) -> dict[int, str | None] | None:
    pairs: list[tuple[object, object]]
    if isinstance(document, list) and any(isinstance(each, dict) for each in document):
        pairs = [(each.get("id"), each.get("name")) if isinstance(each, dict) else (None, None) for each in document]
    elif isinstance(document, list):
        pairs = list(enumerate(document))
    elif isinstance(document, dict) and all(isinstance(value, int) for value in document.values()):
        pairs = [(value, name) for name, value in document.items()]
    elif isinstance(document, dict):
        pairs = [
            (int(value) if len(value) <= _VALUE_DIGITS and value.isascii() and value.isdigit() else None, name)
            for value, name in document.items()
        ]
    else:
        return None
    values: dict[int, str | None] = {}
    for value, name in pairs:
        known = name is None or class_name(name) is not None or (isinstance(name, str) and not name.strip())
        if isinstance(value, bool) or not isinstance(value, int) or value in values or not known:
            return None
        label = class_name(name)
        values[value] = None if label is None or label.casefold() in IGNORED_NAMES else label
    return values or None
