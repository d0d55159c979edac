"""What is wrong with the annotation of one row, told with its place."""

from __future__ import annotations

from adapters.datasets.formats import Row
from adapters.datasets.problems import Problem
from adapters.datasets.surrogates import has_surrogate

PLACE_DIGITS = 15


class RowFault(Exception):
    """Ends the reading of a row: what is wrong, and how to mend it."""

    def __init__(self, code: str, said: str, fix: str, *, column: str | None = None) -> None:
        super().__init__(said)
        self.code, self.said, self.fix, self.column = code, said, fix, column

    def problem(self, row: Row) -> Problem:
        """The row's entry in the report."""
        message = f"{row.place}: {self.said}; the row is left out."
        return Problem(
            level="error",
            code=self.code,
            line=row.line,
            row=row.number,
            column=None if self.column is None else self.column[:80],
            message=message,
            fix=self.fix,
        )


def text_of(value: object, name: str, column: str) -> str:
    """A text as it stands, spaces at its ends included: places are counted from them; raises ``RowFault``."""
    if isinstance(value, list | dict):
        raise RowFault("wrong_type", f"the {name} is a list or an object", "Write a string.", column=column)
    if not isinstance(value, str) or not value.strip():
        raise RowFault(f"empty_{name}", f"the {name} is empty", "Write a text or delete the row.", column=column)
    if has_surrogate(value):
        said = f"the {name} holds half of a surrogate pair"
        raise RowFault("invalid_text", said, "Write the character whole.", column=column)
    return value


def place_of(value: object) -> int | None:
    """A whole number of up to 15 digits, which JSON may have written as 3.0 and a table holds as text; None for
    anything else. No text is that long, and a longer number may be one of thousands of digits."""
    if isinstance(value, str):
        digits = value.strip()
        return int(digits) if len(digits) <= PLACE_DIGITS and digits.isascii() and digits.isdigit() else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 10**PLACE_DIGITS:
        return None
    return int(value) if value == int(value) else None
