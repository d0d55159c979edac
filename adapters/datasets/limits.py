"""The hard bounds within which a data file is read."""

from __future__ import annotations

from dataclasses import dataclass

from zoo.settings import Settings

MAX_COLUMNS = 1000


@dataclass(frozen=True, slots=True)
class Limits:
    """Most data rows, bytes of one row (as UTF-8), different labels, and columns of a file.

    ``total_bytes`` are those of all rows, where a file may say once what many rows have: the context of questions.
    """

    rows: int
    row_bytes: int
    labels: int
    columns: int = MAX_COLUMNS
    total_bytes: int = 200 * 1024 * 1024

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        """The limits that the service is configured with."""
        return cls(
            rows=settings.max_rows,
            row_bytes=settings.max_row_bytes,
            labels=settings.max_labels,
            total_bytes=settings.max_upload_bytes,
        )
