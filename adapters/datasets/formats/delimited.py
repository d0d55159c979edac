"""CSV and its relatives: separated by comma, semicolon, tab or bar, with physical line numbers kept."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence

from adapters.datasets.formats.lines import too_long
from adapters.datasets.formats.rows import Row
from adapters.datasets.limits import Limits
from adapters.datasets.problems import DatasetFault, Problem, fault

DELIMITERS = (",", ";", "\t", "|")
_SNIFFED_LINES = 50


def sniff_delimiter(lines: Iterator[str]) -> str:
    """The separator under which the first lines have the header's number of fields most often; comma if none fits."""
    sample = [line for line, _ in zip(lines, range(_SNIFFED_LINES), strict=False)]
    best, best_score = ",", (0.0, 0)
    for delimiter in DELIMITERS:
        try:
            records = [record for record in csv.reader(sample, delimiter=delimiter) if record]
        except csv.Error:
            continue
        width = len(records[0]) if records else 0
        score = (sum(len(record) == width for record in records) / len(records), width) if width > 1 else (0.0, 0)
        if score > best_score:
            best, best_score = delimiter, score
    return best


class DelimitedRows:
    """Reads the header at once; iterating yields the data rows. Raises ``DatasetFault`` where the file is broken."""

    def __init__(self, lines: Iterator[str], *, delimiter: str, limits: Limits) -> None:
        self._limits = limits
        self._feed = _Feed(lines, limits.row_bytes)
        self._delimiter = delimiter
        self._reader = csv.reader(self._feed, delimiter=delimiter, strict=True)
        self.header = self._read_header()

    def __iter__(self) -> Iterator[Row]:
        names = self.header
        width = len(names)
        number = 0
        while (record := self._record()) is not None:
            line = self._feed.first_line
            if isinstance(record, Problem):
                number += 1
                yield Row(number, line, {}, record.model_copy(update={"row": number}))
                continue
            if not record or (len(record) == 1 and not record[0].strip()):
                continue
            number += 1
            values = dict(zip(names, record, strict=False))
            if len(record) > width and any(record[width:]):
                yield Row(number, line, values, self._too_many(number, line, len(record)))
            else:
                yield Row(number, line, values)

    def _record(self) -> list[str] | Problem | None:
        """The next record; a ``Problem`` if only this one is malformed, None at the end."""
        self._feed.begin()
        try:
            return next(self._reader, None)
        except csv.Error as error:
            reason = str(error)
            if "end of data" in reason:
                raise self._feed.unclosed_quote() from None
            if "field limit" in reason:
                raise too_long(self._feed.first_line, csv.field_size_limit()) from None
            return Problem(
                level="error",
                code="bad_quote",
                line=self._feed.first_line,
                message=f"Line {self._feed.first_line}: text follows a closing quote; the row is left out.",
                fix='Double the quotes inside a quoted field: "".',
            )

    def _read_header(self) -> tuple[str, ...]:
        record: list[str] | Problem | None = []
        while record == []:
            record = self._record()
        if record is None:
            raise fault("no_rows", "The file is empty.", "Send a header line and one row per example.", line=1)
        line = self._feed.first_line
        if isinstance(record, Problem):
            raise fault("bad_header", f"Line {line}: the header is not valid CSV.", record.fix, line=line)
        names = [name.strip() for name in record]
        self._check_header(names, line)
        # a column without a name (the index of a data frame, say) can be neither found nor chosen, so it is numbered
        return tuple(name or f"column {place}" for place, name in enumerate(names, start=1))

    def _check_header(self, names: Sequence[str], line: int) -> None:
        if len(names) > self._limits.columns:
            raise fault(
                "too_many_columns",
                f"Line {line}: {len(names):,} columns; at most {self._limits.columns:,} are read.",
                "Keep only the columns that are needed.",
                line=line,
            )
        seen: set[str] = set()
        for place, name in enumerate(names, start=1):
            if name and name in seen:
                raise fault(
                    "duplicate_column",
                    f"Line {line}: the name of column {place} stands in the header twice.",
                    "Give every column a name of its own.",
                    line=line,
                    position=place,
                )
            seen.add(name)

    def _too_many(self, number: int, line: int, found: int) -> Problem:
        return Problem(
            level="error",
            code="too_many_fields",
            line=line,
            row=number,
            message=f"Line {line}: {found} fields, but the header names {len(self.header)}; the row is left out.",
            fix=f"Put fields that hold {self._delimiter!r} into double quotes.",
        )


class _Feed(Iterator[str]):
    """Hands physical lines to the csv module and remembers those of the current record, bounded in bytes."""

    def __init__(self, lines: Iterator[str], limit: int) -> None:
        self._lines = lines
        self._limit = limit
        self._number = 0
        self._size = 0
        self._held: list[str] = []
        self.first_line = 1

    def begin(self) -> None:
        """A new record starts with the next line."""
        self.first_line = self._number + 1
        self._size = 0
        self._held.clear()

    def __next__(self) -> str:
        line = next(self._lines)
        self._number += 1
        self._size += len(line) if line.isascii() else len(line.encode())
        self._held.append(line)
        if self._size > self._limit + 2:
            raise self.unclosed_quote() if len(self._held) > 1 else too_long(self._number, self._limit)
        return line

    def unclosed_quote(self) -> DatasetFault:
        """The fault of the current record, whose last opened quote finds no end."""
        opened, inside = self.first_line, False
        for offset, line in enumerate(self._held):
            for _ in range(line.replace('""', "").count('"')):
                inside = not inside
                opened = self.first_line + offset if inside else opened
        return fault(
            "unclosed_quote",
            f"Line {opened}: the quote that opens here is not closed within {self._limit:,} bytes.",
            'Close the quote at the end of the field (or shorten the row), and double quotes inside a field: "".',
            line=opened,
        )
