"""A kind of file that a data set may consist of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Kind:
    """``role``: by which examples and surveys know such a file; ``one`` and ``many``: what it is called in messages.

    ``suffixes``: by which a file counts as one; ``beside``: folders beside a list in which its files are looked for;
    ``verb``: what they do with what is in them; ``repair``: what to do about one that cannot
    be read, ``repairs`` by the code of the fault where it is something else.
    """

    role: str
    one: str
    many: str
    suffixes: frozenset[str]
    beside: tuple[str, ...]
    verb: str
    repair: str
    repairs: Mapping[str, str] = field(default_factory=dict)
