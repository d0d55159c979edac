"""What is wrong with a data file: one frozen ``Problem`` each, collected in bounded memory. Never holds users' text."""

from __future__ import annotations

from collections import Counter
from typing import Literal

from pydantic import BaseModel, ConfigDict

from zoo.errors import InvalidDataset

Level = Literal["error", "warning", "info"]
MAX_STORED = 1000


class Problem(BaseModel):
    """One finding. ``line`` (physical), ``row`` (of data, without header) and ``position`` (in the line) start at 1.

    ``file`` is the entry of a zip that it is about.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    level: Level
    code: str
    message: str
    fix: str
    line: int | None = None
    row: int | None = None
    column: str | None = None
    position: int | None = None
    file: str | None = None


class DatasetFault(InvalidDataset):
    """A problem that makes the whole file unusable; ``problem`` says where and how to fix it."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.message} {problem.fix}")
        self.problem = problem


class Problems:
    """Collects problems: the first 1,000 in full, the numbers of all by code."""

    def __init__(self) -> None:
        self.stored: list[Problem] = []
        self.counts: Counter[str] = Counter()

    def add(self, problem: Problem, *, count: int = 1) -> None:
        """``count`` is the number of rows (or things) that this one entry speaks of."""
        self.counts[problem.code] += count
        if len(self.stored) < MAX_STORED:
            self.stored.append(problem)


def fault(
    code: str,
    message: str,
    fix: str,
    *,
    line: int | None = None,
    row: int | None = None,
    position: int | None = None,
    file: str | None = None,
) -> DatasetFault:
    """The exception for a problem of the file's form, found at ``line`` or, in a zip, in ``file``."""
    found = {"level": "error", "code": code, "message": message, "fix": fix}
    return DatasetFault(Problem.model_validate(found | {"line": line, "row": row, "position": position, "file": file}))
