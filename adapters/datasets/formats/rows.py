"""What every format is turned into: rows of named values, with the place that each came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from adapters.datasets.formats.lines import Encoding
from adapters.datasets.problems import Problem


class Row(NamedTuple):
    """``number`` counts data rows, ``line`` physical lines, both from 1; ``problem``: why the row cannot be used.

    ``shared``: other rows begin in the same line, so that only the number tells them apart.
    """

    number: int
    line: int
    values: Mapping[str, object]
    problem: Problem | None = None
    shared: bool = False

    @property
    def place(self) -> str:
        """What a message about the row begins with."""
        return f"Row {self.number}" if self.shared else f"Line {self.line}"


@dataclass(frozen=True, slots=True)
class Source:
    """An opened data file; ``rows`` can be read once and raises ``DatasetFault`` where the file is broken."""

    format: str
    encoding: Encoding
    delimiter: str | None
    header: tuple[str, ...] | None
    rows: Iterator[Row]
