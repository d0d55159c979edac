"""``metadata.csv`` or ``metadata.jsonl`` beside the files: a file name, and what is said of it in the same row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import IO, Literal, NamedTuple

from adapters.datasets.archives import shown
from adapters.datasets.columns import check_choice, find_columns, looks_like_header
from adapters.datasets.formats import Row, open_rows
from adapters.datasets.media.layout import Candidate, Files, Layout, RawBox, Search
from adapters.datasets.media.tree import LISTS
from adapters.datasets.problems import DatasetFault, Problem, fault
from adapters.datasets.schema import Schema, schema_of_layout
from adapters.datasets.surrogates import has_surrogate
from adapters.datasets.values import read_example
from zoo.errors import Unsupported

SAMPLE_ROWS = 500
_ROW_BYTES = 1024 * 1024  # a row may hold a thousand boxes


@dataclass(frozen=True, slots=True)
class Forms:
    """What lists of one kind of file may say.

    ``choose``: the layout of a list from the names of its columns and some rows, None if it says nothing of use;
    ``said``: layout -> what such a list holds, in words; ``boxes``: the boxes of a row, where the layout has any, and
    ``boxes_column`` where they stand.
    """

    choose: Callable[[Search, Sequence[str], Sequence[Row]], str | None]
    said: Mapping[str, str]
    boxes: Callable[[Row], tuple[RawBox, ...] | Problem] | None = None
    boxes_column: str | None = None


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


def find(search: Search, forms: Forms) -> Layout | None:
    """Every such list that the zip holds counts, each for the files beside or below it; None without one."""
    found = [name for name in search.tree.used(search.tree.others) if name.rsplit("/", 1)[-1] in LISTS]
    reader = _Reader(search, forms)
    lists = {name: read for name in found if (read := reader.read(name)) is not None}
    if not lists:
        return None
    layouts = dict.fromkeys(each.layout for each in lists.values())
    if len(layouts) > 1:
        said = " and others have ".join(forms.said[layout] for layout in layouts)
        raise fault(
            "mixed_lists", f"Some metadata files have {said}.", "Give all of them the same columns.", file=found[0]
        )
    first = next(iter(lists.values()))
    names = dict.fromkeys(name for each in lists.values() for name in each.names)
    used = {*first.columns.values(), forms.boxes_column}
    return Layout(
        name=first.layout,
        holds=f"{search.kind.many} and a list of their {forms.said[first.layout]}",
        candidates=tuple(candidate for each in lists.values() for candidate in each.candidates),
        columns=first.columns,
        ignored_columns=tuple(name[:80] for name in names if name not in used),
        lists=tuple(lists),
        unusable=reader.unusable,
    )


class _Reader:
    """Reads the lists of one zip."""

    def __init__(self, search: Search, forms: Forms) -> None:
        self.unusable = 0
        self._search, self._forms = search, forms
        self._files = Files(search)
        self._limits = replace(search.limits, row_bytes=max(_ROW_BYTES, search.limits.row_bytes))
        self._listed: set[tuple[str, ...]] = set()

    def read(self, name: str) -> _List | None:
        """None for a list of something else; raises ``DatasetFault`` with the file's name where it is broken."""
        try:
            return self._read(name)
        except Unsupported as error:
            fix = "Write it as CSV or JSONL."
            raise fault("invalid_list", f"{shown(name)}: {error.message}", fix, file=name) from None
        except DatasetFault as error:
            if error.problem.file is not None:
                raise
            raise DatasetFault(_of(error.problem, name)) from None

    def _read(self, name: str) -> _List | None:
        source = open_rows(_Entry(self._search, name), self._limits)
        names: dict[str, None] = dict.fromkeys(source.header or ())
        sample = list(islice(source.rows, SAMPLE_ROWS))
        many = self._search.kind.many
        if not sample:
            message = "The file has no rows of data."
            raise fault("no_rows", message, f"Write one row for each {self._search.kind.one}.", line=1)
        if source.header is None:
            names = dict.fromkeys(key for row in sample for key in row.values if not has_surrogate(key))
        layout = self._forms.choose(self._search, list(names), sample)
        if layout is None:
            said = "no column is called as labels or the like are; the list is not used, and folders count as classes"
            fix = "Nothing to do if they are classes, else name the column that counts, such as label or text."
            self._search.note("warning", "list_not_used", f"{shown(name)}: {said}.", fix, file=name)
            return None
        schema = schema_of_layout(layout, self._search.kind.role)
        check_choice(schema, self._search.chosen)
        if source.header and not self._search.chosen and not looks_like_header(source.header, sample, schema):
            header = (source.delimiter or ",").join(("file_name", *(role.name for role in schema.roles[1:])))
            message = "Line 1: it looks like data, not like the names of columns."
            raise fault("header_missing", message, f"Add a first line that names the columns: {header}", line=1)
        columns = find_columns(schema, list(names), sample, self._search.chosen)
        candidates: list[Candidate] = []
        for row in chain(sample, source.rows):
            if row.number > self._limits.rows:
                message = f"Line {row.line}: more than {self._limits.rows:,} rows."
                raise fault("too_many_rows", message, f"Send fewer {many}.", line=row.line)
            found = self._candidate(row, schema, columns, name)
            if isinstance(found, Candidate):
                candidates.append(found)
            elif found is not None:
                self.unusable += 1
                self._search.problems.add(_of(found, name))
        return _List(layout, candidates, names, columns)

    def _candidate(self, row: Row, schema: Schema, columns: Mapping[str, str], name: str) -> Candidate | Problem | None:
        """None for a file of a part of the split that is left out."""
        example = read_example(row, schema, columns)
        if isinstance(example, Problem):
            return example
        values = dict(example.values)
        one, said = self._search.kind.one, values.pop(self._search.kind.role)
        file = self._files.find(said, beside=name)
        if file is None:
            said = f"the zip has no {one} {shown(said)}, or several that could be meant"
            return row_problem(row, "file_missing", said, f"Add the {one}, correct its name, or delete the row.")
        if file in self._search.tree.left_out:
            return None
        key = (file, *values.values())
        if key in self._listed:  # under another label it shows as a conflict of the file with itself
            said = f"the {one} {shown(file)} was listed before"
            return row_problem(row, "duplicate_file_name", said, "Delete one of the rows.")
        self._listed.add(key)
        boxes = self._forms.boxes(row) if self._forms.boxes and schema.annotation == "boxes" else ()
        if isinstance(boxes, Problem):
            return boxes
        return Candidate(row=row.number, line=row.line, file=file, values=values, boxes=boxes)


def row_problem(row: Row, code: str, said: str, fix: str) -> Problem:
    """Why a row of a list is left out."""
    message = f"Line {row.line}: {said}; the row is left out."
    return Problem(level="error", code=code, message=message, fix=fix, line=row.line, row=row.number)


def _of(problem: Problem, name: str) -> Problem:
    """The same problem with the name of the list that it stands in."""
    return problem.model_copy(update={"message": f"{shown(name)}: {problem.message}", "file": name})
