"""The hard bounds within which a data file is read."""

from __future__ import annotations

from dataclasses import dataclass

from zoo.settings import Settings

MAX_COLUMNS = 1000


@dataclass(frozen=True, slots=True)
class Limits:
    """Most data rows, bytes of one row (as UTF-8), different labels, and columns of a file."""

    rows: int
    row_bytes: int
    labels: int
    columns: int = MAX_COLUMNS

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        """The limits that the service is configured with."""
        return cls(rows=settings.max_rows, row_bytes=settings.max_row_bytes, labels=settings.max_labels)
