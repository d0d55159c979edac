"""A failed pydantic validation in words: which field, what is wrong with it; never the value that was sent."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_SAFE_NAME = re.compile(r"^[A-Za-z0-9_.\[\]-]{1,64}$")
_CODES = {"extra_forbidden": "unknown_field", "finite_number": "invalid_number"}


@dataclass(frozen=True)
class Fault:
    """One fault: its code, a sentence, and the dotted name of the field."""

    code: str
    message: str
    field: str | None


def first(faults: Sequence[Any]) -> Fault:
    """The first fault of ``ValidationError.errors()``."""
    fault = faults[0]
    field = _dotted(fault["loc"])
    code = _CODES.get(fault["type"], "invalid_request")
    where = field or "the body"
    if code == "unknown_field":
        return Fault(code, f"Unknown field {where!r}: remove it, or check its spelling.", field)
    if fault["type"] == "missing":
        return Fault(code, f"Field {where!r} is missing.", field)
    return Fault(code, f"Field {where!r}: {_sentence(fault)}.", field)


def _sentence(fault: Any) -> str:
    """Pydantic's own words, which quote limits and choices of the schema; a validator's words may quote the value."""
    if fault["type"] in ("value_error", "assertion_error"):
        return "the value is not valid"
    text = str(fault["msg"])
    return text[0].lower() + text[1:200]


def _dotted(location: tuple[int | str, ...]) -> str | None:
    """``('query', 'limit')`` -> ``limit``, ``('n_epochs', 'int')`` -> ``n_epochs``; an odd name is not repeated."""
    parts = [str(part) for part in location if part not in ("body", "query", "path", "header")]
    shown: list[str] = []
    for part in parts:
        if shown and ("[" in part or part in ("int", "float", "str", "bool", "tuple")):
            break  # which member of a union failed is of no interest
        shown.append(part if _SAFE_NAME.fullmatch(part) else "?")
    return ".".join(shown)[:120] or None
