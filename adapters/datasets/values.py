"""The values that a row gives to the roles of a task, or why it gives none. One rule for report and training."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from adapters.datasets.example import Example
from adapters.datasets.formats import Row
from adapters.datasets.problems import Problem
from adapters.datasets.schema import Role, Schema
from adapters.datasets.surrogates import has_surrogate

LABEL_CHARACTERS = 200
_MISSING = frozenset({"", "nan", "null"})
_SEPARATORS = re.compile(r"[|;]")
_ONE_LABEL = Role(name="label", kind="category", names=())


def read_example(row: Row, schema: Schema, columns: Mapping[str, str]) -> Example | Problem:
    """The example of a row; a ``Problem`` if it is malformed, or a value is missing or cannot be used.

    Texts are stripped. Roles that no column plays are left out.
    """
    if row.problem is not None:
        return row.problem
    if schema.read is not None:
        return schema.read(row, columns)
    values: dict[str, str] = {}
    labels: tuple[str, ...] | None = None
    for role in schema.roles:
        if role.name not in columns:
            continue
        column = columns[role.name]
        found: str | tuple[str, ...] | Fault = _READERS[role.kind](row.values.get(column), role)
        if isinstance(found, Fault):
            return _problem(row, found, column)
        if isinstance(found, tuple):
            labels = found
        else:
            values[role.name] = found
    if schema.fault is not None and (fault := schema.fault(values)) is not None:
        return _problem(row, Fault(*fault), None)
    return Example(row.number, row.line, values, labels=labels)


def _problem(row: Row, fault: Fault, column: str | None) -> Problem:
    return Problem(
        level="error",
        code=fault.code,
        line=row.line,
        row=row.number,
        column=None if column is None else column[:80],
        message=f"{row.place}: {fault.said}; the row is left out.",
        fix=fault.fix,
    )


def text_of(example: Example, schema: Schema) -> str:
    """All that is read of an example, one text behind the other."""
    return "\n".join(example.values[role.name] for role in schema.texts if role.name in example.values)


def named(example: Example) -> tuple[str, ...]:
    """The labels of an example, one or several; none where it has a number or no answer at all."""
    if example.labels is not None:
        return example.labels
    return (example.values["label"],) if "label" in example.values else ()


class Fault(NamedTuple):
    """What is wrong with a value."""

    code: str
    said: str
    fix: str


def _text(value: object, role: Role) -> str | Fault:
    text = _written(value, role)
    if text == "":
        return Fault(f"empty_{role.name}", f"the {role.name} is empty", "Write a text or delete the row.")
    return text


def _category(value: object, role: Role) -> str | Fault:
    text = _written(value, role)
    if isinstance(text, Fault):
        return text
    if text.casefold() in _MISSING:
        fix = f"Fill in the {role.name} or delete the row."
        return Fault(f"missing_{role.name}", f"the {role.name} is missing", fix)
    if len(text) > LABEL_CHARACTERS:
        said = f"the {role.name} is longer than {LABEL_CHARACTERS} characters"
        return Fault(f"{role.name}_too_long", said, "Use a short name for each class.")
    return text


def _categories(value: object, role: Role) -> tuple[str, ...] | Fault:
    """Labels in a list, as it is or written as JSON, or separated by ``|`` or ``;``; each once, in order."""
    if isinstance(value, str):
        value = _listed(value.strip())
    if value is None or isinstance(value, str):
        fix = 'List the labels of the row, such as ["late", "lost"] or late|lost, and [] where none applies.'
        return Fault("missing_labels", "the labels are missing", fix)
    found: list[str] = []
    for one in value if isinstance(value, list) else [value]:
        label = _category(one, _ONE_LABEL)
        if isinstance(label, Fault):
            return label
        found.append(label)
    return tuple(dict.fromkeys(found))


def _listed(text: str) -> list[object] | None:
    if text.casefold() in _MISSING:
        return None
    if text.startswith("["):
        try:
            read = json.loads(text)
        except (ValueError, RecursionError):
            read = None
        if isinstance(read, list):
            return read
    return [part.strip() for part in _SEPARATORS.split(text) if part.strip()]


def _number(value: object, role: Role) -> str | Fault:
    text = _written(value, role)
    if isinstance(text, Fault):
        return text
    if text.casefold() in _MISSING:
        fix = f"Fill in the {role.name} or delete the row."
        return Fault(f"missing_{role.name}", f"the {role.name} is missing", fix)
    try:
        finite = math.isfinite(float(text))
    except ValueError:
        finite = False
    if not finite or isinstance(value, bool):
        fix = "Write a number with a point, such as 3.5."
        return Fault(f"{role.name}_not_a_number", f"the {role.name} is no number", fix)
    return text


def _written(value: object, role: Role) -> str | Fault:
    """The value as stripped text; numbers and truth values as JSON writes them, null as nothing."""
    text = value.strip() if isinstance(value, str) else _spelled(value)
    if text is None:
        return Fault("wrong_type", f"the {role.name} is a list or an object", "Write a string.")
    if has_surrogate(text):
        return Fault("invalid_text", f"the {role.name} holds half of a surrogate pair", "Write the character whole.")
    return text


def _spelled(value: object) -> str | None:
    """A JSON value that is no string: numbers and truth values as JSON writes them, null as missing, others None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    return None


_READERS: dict[str, Callable[[object, Role], str | tuple[str, ...] | Fault]] = {
    "text": _text,
    "answer": _text,
    "file": _text,
    "category": _category,
    "categories": _categories,
    "number": _number,
}
