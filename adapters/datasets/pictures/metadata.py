"""``metadata.csv`` or ``metadata.jsonl`` beside the pictures: a file name and a label, or boxes under ``objects``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import IO, Literal, NamedTuple

from adapters.datasets.archives import shown
from adapters.datasets.columns import check_choice, find_columns
from adapters.datasets.formats import Row, open_rows
from adapters.datasets.pictures.layout import Candidate, Files, Layout, Search
from adapters.datasets.pictures.objects import OBJECTS, boxes_of, row_problem
from adapters.datasets.pictures.tree import LISTS
from adapters.datasets.problems import DatasetFault, Problem, fault
from adapters.datasets.schema import Schema, schema_of_layout
from adapters.datasets.values import read_values
from zoo.errors import Unsupported

SAMPLE_ROWS = 500
_ROW_BYTES = 1024 * 1024  # a row may hold a thousand boxes


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry that is opened as a path is."""

    search: Search
    name: str

    def open(self, mode: Literal["rb"], /) -> IO[bytes]:
        return self.search.open(self.name)


class _List(NamedTuple):
    """A list's candidates, the names of its columns, and which of them were used."""

    layout: str
    candidates: list[Candidate]
    names: dict[str, None]
    columns: dict[str, str]


def find(search: Search) -> Layout | None:
    """Every such list that the zip holds counts, each for the pictures beside or below it; None without one."""
    found = [name for name in search.tree.used(search.tree.others) if name.rsplit("/", 1)[-1] in LISTS]
    if not found:
        return None
    reader = _Reader(search)
    lists = [reader.read(name) for name in found]
    if len({each.layout for each in lists}) > 1:
        raise fault(
            "mixed_lists",
            "Some metadata files have labels and others have boxes.",
            "Give all of them the same columns.",
            file=found[0],
        )
    first = lists[0]
    names = dict.fromkeys(name for each in lists for name in each.names)
    return Layout(
        name=first.layout,
        holds="pictures and a list of their " + ("boxes" if first.layout == OBJECTS else "labels"),
        candidates=tuple(candidate for each in lists for candidate in each.candidates),
        columns=first.columns,
        ignored_columns=tuple(name[:80] for name in names if name not in (*first.columns.values(), OBJECTS)),
        lists=tuple(found),
        unusable=reader.unusable,
    )


class _Reader:
    """Reads the lists of one zip."""

    def __init__(self, search: Search) -> None:
        self.unusable = 0
        self._search = search
        self._files = Files(search.tree)
        self._limits = replace(search.limits, row_bytes=max(_ROW_BYTES, search.limits.row_bytes))
        self._listed: set[tuple[str, str]] = set()

    def read(self, name: str) -> _List:
        """Raises ``DatasetFault`` with the file's name where the list itself is broken."""
        try:
            return self._read(name)
        except Unsupported as error:
            fix = "Write it as CSV or JSONL."
            raise fault("invalid_list", f"{shown(name)}: {error.message}", fix, file=name) from None
        except DatasetFault as error:
            if error.problem.file is not None:
                raise
            raise DatasetFault(_of(error.problem, name)) from None

    def _read(self, name: str) -> _List:
        source = open_rows(_Entry(self._search, name), self._limits)
        names: dict[str, None] = dict.fromkeys(source.header or ())
        sample = list(islice(source.rows, SAMPLE_ROWS))
        if not sample:
            raise fault("no_rows", "The file has no rows of data.", "Write one row for each picture.", line=1)
        if source.header is None:
            names = dict.fromkeys(key for row in sample for key in row.values)
        layout = OBJECTS if any(isinstance(row.values.get(OBJECTS), dict | list) for row in sample) else "metadata"
        schema = schema_of_layout(layout)
        check_choice(schema, self._search.chosen)
        columns = find_columns(schema, list(names), sample, self._search.chosen)
        candidates: list[Candidate] = []
        for row in chain(sample, source.rows):
            if row.number > self._limits.rows:
                message = f"Line {row.line}: more than {self._limits.rows:,} rows."
                raise fault("too_many_rows", message, "Send fewer pictures.", line=row.line)
            found = self._candidate(row, schema, columns, name)
            if isinstance(found, Candidate):
                candidates.append(found)
            elif found is not None:
                self.unusable += 1
                self._search.problems.add(_of(found, name))
        return _List(layout, candidates, names, columns)

    def _candidate(self, row: Row, schema: Schema, columns: Mapping[str, str], name: str) -> Candidate | Problem | None:
        """None for a picture of a part of the split that is left out."""
        values = read_values(row, schema, columns)
        if isinstance(values, Problem):
            return values
        image = self._files.find(values["image"], beside=name)
        if image is None:
            said = f"the zip has no picture {shown(values['image'])}, or several that could be meant"
            return row_problem(row, "file_missing", said, "Add the picture, correct its name, or delete the row.")
        if image in self._search.tree.left_out:
            return None
        label = values.get("label", "")
        if (image, label) in self._listed:  # under another label it shows as a conflict of the picture with itself
            said = f"the picture {shown(image)} was listed before"
            return row_problem(row, "duplicate_file_name", said, "Delete one of the rows.")
        self._listed.add((image, label))
        boxes = boxes_of(row) if schema.annotation == "boxes" else ()
        if isinstance(boxes, Problem):
            return boxes
        return Candidate(row=row.number, line=row.line, image=image, label=label, boxes=boxes)


def _of(problem: Problem, name: str) -> Problem:
    """The same problem with the name of the list that it stands in."""
    return problem.model_copy(update={"message": f"{shown(name)}: {problem.message}", "file": name})
