"""The report on a data file: what is in it, and what is wrong with it. JSON, without any text of the rows."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from adapters.datasets.problems import DatasetFault, Problem


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ClassCount(_Part):
    """Usable rows of one label; ``share`` is of all usable rows."""

    label: str
    count: int
    share: float


class Balance(_Part):
    """``ratio``: rows of the largest class over the smallest. ``entropy``: 1 if all classes are equally large, to 0."""

    ratio: float
    entropy: float


class Spread(_Part):
    """How long texts are."""

    min: int
    median: int
    p95: int
    max: int


class Lengths(_Part):
    """Lengths of the texts in characters, and in words between spaces."""

    characters: Spread
    words: Spread


class Duplicates(_Part):
    """Texts equal but for case, spaces and punctuation: ``rows`` beyond the first of each of the ``groups``."""

    groups: int = 0
    rows: int = 0


class Conflict(_Part):
    """One text under several labels: the first lines that it stands in, and the labels there."""

    lines: tuple[int, ...]
    labels: tuple[str, ...]


class Report(_Part):
    """What a data file holds; ``fatal`` is why it cannot be trained on, if it cannot."""

    file: str = ""
    format: str = ""
    encoding: str = ""
    delimiter: str | None = None
    task: str
    columns: dict[str, str] = Field(default_factory=dict, description="Role -> column.")
    ignored_columns: tuple[str, ...] = ()
    rows: int = 0
    usable_rows: int = 0
    classes: tuple[ClassCount, ...] = ()
    balance: Balance | None = None
    lengths: Lengths | None = None
    duplicates: Duplicates = Duplicates()
    conflicting_rows: int = 0
    conflicts: tuple[Conflict, ...] = Field((), description="The first hundred.")
    problems: tuple[Problem, ...] = Field((), description="The first thousand.")
    problem_counts: dict[str, int] = Field(default_factory=dict, description="Rows or things by code; all of them.")
    fatal: Problem | None = None

    def raise_if_fatal(self) -> None:
        """Raise ``DatasetFault`` (an ``InvalidDataset``) if the file cannot be trained on."""
        if self.fatal is not None:
            raise DatasetFault(self.fatal)
