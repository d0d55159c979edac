"""How a model is asked for: ``name``, ``name@3`` or ``name@alias``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from zoo.catalogue.entry import is_name
from zoo.errors import InvalidInput

_NUMBER = re.compile(r"[1-9][0-9]{0,8}")


@dataclass(frozen=True)
class Reference:
    """A name and, at most one of the two, a version or an alias."""

    name: str
    version: int | None = None
    alias: str | None = None


def parse_reference(text: str) -> Reference:
    """Read a reference; ``InvalidInput`` (``invalid_id``) for anything that cannot be one. Touches no file."""
    name, at, rest = text.partition("@")
    if is_name(name):
        if not at:
            return Reference(name)
        if _NUMBER.fullmatch(rest):
            return Reference(name, version=int(rest))
        if is_name(rest) and not rest.isdigit():
            return Reference(name, alias=rest)
    raise InvalidInput(
        "A model is asked for as name, name@3 or name@alias, each 1 to 64 characters of a-z, 0-9, '.', '_' and '-'"
        " that start with a-z or 0-9.",
        code="invalid_id",
        param="model",
    )
