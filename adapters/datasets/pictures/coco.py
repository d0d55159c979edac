"""Pictures and boxes in COCO's JSON: ``images``, ``annotations`` and ``categories``, boxes as x, y, width, height."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from adapters.datasets.archives import shown, suffix_of
from adapters.datasets.media.layout import Candidate, Files, Layout, RawBox, Search
from adapters.datasets.pictures.masked import CLASSES_FILE
from adapters.datasets.pictures.objects import class_name, four_numbers
from adapters.datasets.problems import fault

MAX_FILES = 20
JSON_BYTES = 32 * 1024 * 1024  # Python makes up to twenty times as much of it
_SECTIONS = ("images", "annotations", "categories")
_EACH = (
    'such as {"images": [{"id": 1, "file_name": "1.jpg"}], "categories": [{"id": 1, "name": "cat"}],'
    ' "annotations": [{"image_id": 1, "category_id": 1, "bbox": [x, y, width, height]}]}'
)


def find(search: Search) -> Layout | None:
    """All such files that the zip holds, up to twenty, together; None without one."""
    tree = search.tree
    names = [name for name in tree.used(tree.others) if suffix_of(name) == "json"]
    names = [name for name in names if name.rsplit("/", 1)[-1] != CLASSES_FILE]
    if not names or len(names) > MAX_FILES:
        return None
    documents = {name: document for name in names if (document := _read(search, name)) is not None}
    if not documents:
        return None
    files, readers = Files(search), []
    listed: set[str] = set()
    for name, document in documents.items():
        reader = _Document(search, files, name, listed)
        reader.read(document)
        readers.append(reader)
    return Layout(
        name="coco",
        holds="pictures and boxes in a COCO JSON",
        candidates=tuple(candidate for reader in readers for candidate in reader.candidates),
        labels=tuple(dict.fromkeys(label for reader in readers for label in reader.labels)),
        lists=tuple(documents),
        unusable=sum(reader.unusable for reader in readers),
    )


def _read(search: Search, name: str) -> dict[str, Any] | None:
    """The document, or None if it is something else than COCO; raises ``DatasetFault`` for what is no JSON."""
    if search.archive.entries[name].size > JSON_BYTES:
        message = f"{shown(name)}: larger than {JSON_BYTES // 2**20} MiB."
        raise fault(
            "invalid_list", message, "Leave out segmentations and other fields, or send fewer pictures.", file=name
        )
    try:
        document = json.loads(search.open(name).read(), parse_constant=_refuse)
    except json.JSONDecodeError as error:
        message = f"{shown(name)}, line {error.lineno}, column {error.colno}: not valid JSON ({error.msg.lower()})."
        raise fault(
            "invalid_json", message, "Write the file again as JSON.", file=name, line=error.lineno, position=error.colno
        ) from None
    except (ValueError, RecursionError):
        message = f"{shown(name)}: not valid JSON: not UTF-8, nested too deeply, or a number that is none."
        raise fault("invalid_json", message, "Write the file again as JSON.", file=name) from None
    if not isinstance(document, dict) or not any(section in document for section in _SECTIONS):
        return None
    for section in _SECTIONS:
        rows = document.get(section)
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            message = f"{shown(name)}: {section} is missing or no list of objects."
            raise fault("invalid_list", message, f"Write all of {', '.join(_SECTIONS)}, {_EACH}.", file=name)
    return document


class _Document:
    """Reads one document; what is wrong in it goes to the search's problems."""

    def __init__(self, search: Search, files: Files, name: str, listed: set[str]) -> None:
        self.candidates: list[Candidate] = []
        self.labels: list[str] = []
        self.unusable = 0
        self._search, self._files, self._name, self._listed = search, files, name, listed

    def read(self, document: Mapping[str, list[dict[str, Any]]]) -> None:
        """Take in categories, then annotations, then pictures."""
        classes = self._classes(document["categories"])
        self.labels = list(dict.fromkeys(classes.values()))
        known = {key for row in document["images"] if (key := _key(row.get("id"))) is not None}
        boxes: dict[object, list[RawBox]] = {}
        left_out = 0
        for place, row in enumerate(document["annotations"], start=1):
            number = _key(row.get("id"))
            where = f"annotation {shown(str(number))}" if number is not None else f"annotations[{place - 1}]"
            key = _key(row.get("image_id"))
            if key is None or key not in known:
                said = f"{where} belongs to a picture that images does not have; it is left out"
                self._note("unknown_image", said, "Add the picture to images, or delete the annotation.")
            elif row.get("iscrowd") in (1, True):
                left_out += 1
            else:
                label = classes.get(_key(row.get("category_id")))
                boxes.setdefault(key, []).append(RawBox(label, four_numbers(row.get("bbox")), where[:80]))
        if left_out:
            message = f"{shown(self._name)}: {left_out:,} boxes of crowds (iscrowd) are not used."
            self._search.note("info", "crowd_boxes", message, "Nothing to do.", file=self._name, count=left_out)
        for place, row in enumerate(document["images"], start=1):
            self._add_picture(place, row, boxes)

    def _classes(self, rows: Sequence[Mapping[str, Any]]) -> dict[object, str]:
        classes: dict[object, str] = {}
        for place, row in enumerate(rows, start=1):
            key, name = _key(row.get("id")), class_name(row.get("name"))
            if key is None or name is None:
                said = f"categories[{place - 1}] has no id or no name; its boxes count as of an unknown class"
                self._note("invalid_category", said, "Give every category an id and a name.")
            elif classes.setdefault(key, name) != name:
                said = f"two categories have the id {shown(str(key))}"
                raise fault("invalid_category", f"{shown(self._name)}: {said}.", "Number them apart.", file=self._name)
        return dict(sorted(classes.items(), key=lambda pair: (isinstance(pair[0], str), pair[0])))

    def _add_picture(self, place: int, row: Mapping[str, Any], boxes: Mapping[object, list[RawBox]]) -> None:
        key, said = _key(row.get("id")), row.get("file_name")
        if key is None or not isinstance(said, str) or not said.strip():
            self._unusable("invalid_image_row", f"images[{place - 1}] has no id or no file_name", "Write both.", place)
            return
        name = self._files.find(said, beside=self._name)
        if name is None:
            problem = f"the zip has no picture {shown(said)}, or several that could be meant"
            self._unusable("file_missing", problem, "Add the picture, or correct its file_name.", place)
        elif name in self._listed:
            problem = f"the picture {shown(name)} stands in images more than once; it counts the first time"
            self._unusable("duplicate_file_name", problem, "List each picture once, with all of its boxes.", place)
        elif name not in self._search.tree.left_out:
            self._listed.add(name)
            size = _size(row)
            found = tuple(boxes.get(key, ()))
            self.candidates.append(Candidate(row=place, line=place, file=name, boxes=found, size=size))

    def _unusable(self, code: str, said: str, fix: str, row: int) -> None:
        self.unusable += 1
        self._note(code, said, fix, row=row)

    def _note(self, code: str, said: str, fix: str, *, row: int | None = None) -> None:
        self._search.note("error", code, f"{shown(self._name)}: {said}.", fix, file=self._name, row=row)


def _key(value: object) -> int | str | None:
    return None if isinstance(value, bool) or not isinstance(value, int | str) else value


def _size(row: Mapping[str, Any]) -> tuple[int, int] | None:
    width, height = row.get("width"), row.get("height")
    if isinstance(width, bool) or not isinstance(width, int | float) or not isinstance(height, int | float):
        return None
    return (round(width), round(height)) if 0 < width < 2**31 and 0 < height < 2**31 else None


def _refuse(_: str) -> NoReturn:
    raise ValueError("not finite")
