"""The report on a data file: what is in it, and what is wrong with it. JSON, without any text of the rows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, Field

from adapters.datasets.problems import DatasetFault, Problem


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ClassCount(_Part):
    """Usable rows of one label; ``share`` is of all usable rows, so that those of several labels a row exceed 1. Of
    entities those of one kind, of all of them.

    For detection ``count`` and ``share`` are those of boxes, ``pictures`` how many show the class; for segmentation
    ``count`` is pictures that show it and ``share`` its part of all pixels that count. Of audio also ``seconds``.
    """

    label: str
    count: int
    share: float
    pictures: int | None = None
    seconds: float | None = None


class Balance(_Part):
    """``ratio``: rows of the largest class over the smallest. ``entropy``: 1 if all classes are equally large, to 0."""

    ratio: float
    entropy: float

    @classmethod
    def of(cls, counts: Iterable[int]) -> Balance | None:
        """Of the classes that have rows; None without any."""
        found = [count for count in counts if count]
        if not found:
            return None
        total = sum(found)
        entropy = -sum(count / total * math.log(count / total) for count in found)
        scale = math.log(len(found)) if len(found) > 1 else 1.0
        return cls(ratio=round(max(found) / min(found), 4), entropy=round(abs(entropy) / scale, 4))


class Spread(_Part):
    """How long texts are, or how large pictures and boxes."""

    min: int
    median: int
    p95: int
    max: int

    @classmethod
    def of(cls, counts: Counter[int]) -> Spread:
        """From how often each value occurs; all 0 without any."""
        ordered = sorted(counts) or [0]
        total = counts.total()

        def quantile(share: float) -> int:
            passed = 0
            for value in ordered:
                passed += counts[value]
                if passed >= share * total:
                    return value
            return ordered[-1]

        return cls(min=ordered[0], median=quantile(0.5), p95=quantile(0.95), max=ordered[-1])


class Lengths(_Part):
    """Lengths of the texts in characters, and in words between spaces."""

    characters: Spread
    words: Spread


class Pictures(_Part):
    """Pictures that can be read: how many, bytes of their files, sizes in pixels when upright, and formats."""

    count: int
    bytes: int
    widths: Spread
    heights: Spread
    formats: dict[str, int]


class Clips(_Part):
    """Usable audio: clips, bytes of their files, how long they are, how many have each rate (Hz), channels, format."""

    count: int
    bytes: int
    hours: float
    milliseconds: Spread
    rates: dict[str, int]
    channels: dict[str, int]
    formats: dict[str, int]


class Transcripts(_Part):
    """Words of all transcripts, without regard to case and punctuation; how many different ones, and those seen once.

    ``alphabet`` is the different ``characters`` as they are written, the first two hundred, without spaces. Speeds are
    those of whole clips with their pauses; ``letters`` are letters and digits.
    """

    words: int
    vocabulary: int
    once: int
    characters: int
    alphabet: str
    words_per_minute: Spread
    letters_per_minute: Spread


class Scores(_Part):
    """The numbers that are to be learnt: least, median, most, and how many different ones."""

    min: float
    median: float
    max: float
    distinct: int


class Boxes(_Part):
    """Boxes of all usable pictures: how many, how many a picture, and their sizes in pixels."""

    count: int
    per_picture: Spread
    widths: Spread
    heights: Spread


class Spans(_Part):
    """Entities, or answers to questions: how many, how many a row, how long, and rows that have none."""

    count: int
    per_row: Spread
    characters: Spread
    rows_without: int


class Duplicates(_Part):
    """Texts equal but for case, spaces and punctuation, pictures of equal pixels, or clips of equal samples.

    ``rows`` are those beyond the first of each of the ``groups``.
    """

    groups: int = 0
    rows: int = 0


class Conflict(_Part):
    """One text, picture or clip under several labels: the first lines or files that hold it, and the labels there.

    Transcripts that differ are not repeated here.
    """

    lines: tuple[int, ...] = ()
    labels: tuple[str, ...]
    files: tuple[str, ...] = ()


class Report(_Part):
    """What a data file holds; ``fatal`` is why it cannot be trained on, if it cannot."""

    file: str = ""
    format: str = ""
    layout: str | None = Field(None, description="Of a zip: folders, metadata, transcripts, coco, objects or masks.")
    encoding: str = ""
    delimiter: str | None = None
    task: str
    columns: dict[str, str] = Field(default_factory=dict, description="Role -> column.")
    ignored_columns: tuple[str, ...] = ()
    rows: int = 0
    usable_rows: int = 0
    classes: tuple[ClassCount, ...] = ()
    labels: tuple[str, ...] = Field(
        (),
        description="Classes of pictures or audio, of entities, or of texts with several, in order; of masks by value, "
        "'' if not learnt.",
    )
    balance: Balance | None = None
    lengths: Lengths | None = None
    answer_lengths: Lengths | None = Field(None, description="Of the texts that are to be written.")
    spans: Spans | None = None
    scores: Scores | None = None
    pictures: Pictures | None = None
    boxes: Boxes | None = None
    clips: Clips | None = None
    transcripts: Transcripts | None = None
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
