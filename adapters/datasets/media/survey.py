"""What is known of every file after each has been decoded once: kept beside the zip as JSON lines."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from adapters.datasets.archives import Archive
from zoo.errors import ZooError

INLINE_FILES = 4000
INLINE_SECONDS = 20.0  # files that cannot be read cost time, too, and count for nothing else

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Fact:
    """What is known of one file. ``fingerprint`` is equal for equal contents, whatever the file's format.

    ``fault``: code and message of a file that cannot be read. Subclasses add fields of strings, numbers and tuples.
    """

    format: str = ""
    bytes: int = 0
    fingerprint: str = ""
    fault: tuple[str, str] | None = None

    @property
    def cost(self) -> float:
        """Its share of the decoding that a request may take."""
        return 0.0


class Look(NamedTuple):
    """How a file is measured, and what comes of it; ``fact(fault=…)`` is that of a file that cannot be read."""

    fact: type[Fact]
    measure: Callable[[bytes], Fact]


class TooMuch(Exception):
    """More to decode than a request may take; what has been decoded is in ``survey``."""

    def __init__(self, survey: Survey) -> None:
        super().__init__("too much to decode")
        self.survey = survey


class Survey:
    """Facts by the role and the entry's name; one entry may play two roles, as a picture and as a mask."""

    def __init__(self) -> None:
        self._facts: dict[tuple[str, str], Fact] = {}

    def fact(self, role: str, name: str) -> Fact:
        """The fact about a file that has been decoded."""
        return self._facts[role, name]

    def take(
        self,
        archive: Archive,
        wanted: Mapping[str, Iterable[str]],
        looks: Mapping[str, Look],
        *,
        bounded: bool = False,
        progress: Progress | None = None,
    ) -> None:
        """Decode what is not known yet, one entry at a time; ``wanted``: names of entries by the role they play.

        ``bounded``: raise ``TooMuch`` at 4,000 files a role, when the costs of facts add up to 1, or at 20 s.
        ``progress(done, total)`` may raise.
        """
        roles = list(wanted)
        missing = [(role, name) for role in roles for name in wanted[role]]
        missing = [key for key in dict.fromkeys(missing) if key not in self._facts]
        cost, started = 0.0, time.monotonic()
        for done, (role, name) in enumerate(missing):
            late = time.monotonic() - started >= INLINE_SECONDS
            many = done >= INLINE_FILES * (1 + roles.index(role)) or cost >= 1
            if bounded and (late or many):
                raise TooMuch(self)
            if progress is not None:
                progress(done, len(missing))
            fact = _look(archive, name, looks[role])
            cost += fact.cost
            self._facts[role, name] = fact

    def write(self, path: Path) -> None:
        """One JSON array a line: role, name, and an object of the fact's fields."""
        with path.open("w", encoding="utf-8") as sink:
            for (role, name), fact in self._facts.items():
                sink.write(json.dumps([role, name, asdict(fact)]) + "\n")

    @classmethod
    def read(cls, path: Path, looks: Mapping[str, Look]) -> Survey:
        """What ``write`` has written; empty if there is no such file, and without what another release measured."""
        survey = cls()
        if path.exists():
            with path.open(encoding="utf-8") as source:
                for line in source:
                    role, name, *rest = json.loads(line)
                    kind = looks[role].fact if role in looks else None
                    if kind and len(rest) == 1 and rest[0].keys() == kind.__dataclass_fields__.keys():
                        fields = {field: _frozen(value) for field, value in rest[0].items()}
                        survey._facts[role, name] = kind(**fields)
        return survey


def _look(archive: Archive, name: str, look: Look) -> Fact:
    try:
        return look.measure(archive.read(name))
    except ZooError as error:
        return look.fact(fault=(error.code, error.message))


def _frozen(value: Any) -> Any:
    """JSON knows lists only; a fact holds tuples."""
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
