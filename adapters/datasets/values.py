"""The values that a row gives to the roles of a task, or why it gives none. One rule for report and training."""

from __future__ import annotations

from collections.abc import Mapping

from adapters.datasets.example import Example
from adapters.datasets.formats import Row
from adapters.datasets.problems import Problem
from adapters.datasets.schema import Role, Schema

LABEL_CHARACTERS = 200
_MISSING = frozenset({"", "nan", "null"})


def read_example(row: Row, schema: Schema, columns: Mapping[str, str]) -> Example | Problem:
    """The example of a row; a ``Problem`` if it is malformed, or a value is missing or cannot be used."""
    if row.problem is not None:
        return row.problem
    if schema.read is not None:
        return schema.read(row, columns)
    values = read_values(row, schema, columns)
    return values if isinstance(values, Problem) else Example(row.number, row.line, values)


def read_values(row: Row, schema: Schema, columns: Mapping[str, str]) -> dict[str, str] | Problem:
    """Role -> stripped text; a ``Problem`` if a value is missing or unusable."""
    values: dict[str, str] = {}
    for role in schema.roles:
        column = columns[role.name]
        value = row.values.get(column)
        text = value.strip() if isinstance(value, str) else _spelled(value)
        problem = _fault_of(text, role)
        if problem is not None:
            code, said, fix = problem
            message = f"Line {row.line}: {said}; the row is left out."
            return Problem(
                level="error", code=code, line=row.line, row=row.number, column=column[:80], message=message, fix=fix
            )
        assert text is not None
        values[role.name] = text
    return values


def _spelled(value: object) -> str | None:
    """A JSON value that is no string: numbers and truth values as JSON writes them, null as missing, others None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    return None


def _fault_of(text: str | None, role: Role) -> tuple[str, str, str] | None:
    if text is None:
        return "wrong_type", f"the {role.name} is a list or an object", "Write a string."
    if role.kind == "category":
        if text.casefold() in _MISSING:
            return f"missing_{role.name}", f"the {role.name} is missing", f"Fill in the {role.name} or delete the row."
        if len(text) > LABEL_CHARACTERS:
            said = f"the {role.name} is longer than {LABEL_CHARACTERS} characters"
            return f"{role.name}_too_long", said, "Use a short name for each class."
    elif not text:
        return f"empty_{role.name}", f"the {role.name} is empty", "Write a text or delete the row."
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        return "invalid_text", f"the {role.name} holds half of a surrogate pair", "Write the character whole."
    return None
