"""From a class every 20 ms to letters, words and their times: what a network with CTC has written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from zoo.tasks.decoding.cached_decoder import Floats, Ids


@dataclass(frozen=True, eq=False)
class Frames:
    """The likeliest class (n,) of each frame, and the logarithm of its probability."""

    classes: Ids
    chances: Floats

    def __getitem__(self, part: slice) -> Frames:
        return Frames(self.classes[part], self.chances[part])

    @classmethod
    def of(cls, logits: Floats) -> Frames:
        """From the network's answer (frames, classes)."""
        classes = logits.argmax(axis=1)
        top = logits.max(axis=1)
        total = top + np.log(np.exp(logits - top[:, None]).sum(axis=1))
        return cls(classes.astype(np.int64), np.asarray(top - total, dtype=np.float32))

    @classmethod
    def joined(cls, parts: Sequence[Frames]) -> Frames:
        """Parts that follow one another."""
        return cls(np.concatenate([part.classes for part in parts]), np.concatenate([part.chances for part in parts]))


@dataclass(frozen=True)
class Written:
    """A letter or a word, and the frames from its first to behind its last."""

    text: str
    start: int
    end: int


class Letters(BaseModel):
    """What the classes mean, as a version's manifest holds it.

    ``letters``: of each class in order. ``blank`` is none, ``delimiter`` stands between words and is written as
    ``space``. ``step``: samples a frame. Like transformers' Wav2Vec2CTCTokenizer; Graves et al., "Connectionist
    Temporal Classification" (2006).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    letters: tuple[str, ...] = Field(min_length=1)
    blank: str
    delimiter: str
    space: str
    lower: bool
    step: int = Field(ge=1)

    def read(self, frames: Frames) -> list[Written]:
        """Each letter once for all frames in a row that say it; none where they are blank."""
        found: list[Written] = []
        place = 0
        for letter, group in groupby(self.letters[one] for one in frames.classes.tolist()):
            start, place = place, place + sum(1 for _ in group)
            if letter != self.blank:
                found.append(Written(self.space if letter == self.delimiter else letter, start, place))
        return found

    def text(self, written: Sequence[Written]) -> str:
        """All letters, with the spaces around them."""
        text = "".join(one.text for one in written)
        return text.lower() if self.lower else text

    def words(self, written: Sequence[Written]) -> list[list[Written]]:
        """The letters of each word in order."""
        groups = groupby(written, key=lambda one: one.text == self.space)
        return [list(group) for between, group in groups if not between]

    def settled(self, frames: Frames) -> int:
        """How many frames from the start end with a space that nothing after them can change; 0 if there is none."""
        if self.delimiter not in self.letters:
            return 0
        between = frames.classes == self.letters.index(self.delimiter)
        ends = np.flatnonzero(between[:-1] & ~between[1:])
        return int(ends[-1]) + 1 if len(ends) else 0


def word_of(letters: Sequence[Written]) -> Written:
    """Some letters as one."""
    return Written("".join(one.text for one in letters), letters[0].start, letters[-1].end)


def sentences(words: Sequence[list[Written]], pause: int, most: int) -> Iterator[list[list[Written]]]:
    """Words in runs: a new one after ``pause`` frames without a letter, or where one would be longer than ``most``."""
    run: list[list[Written]] = []
    for word in words:
        if run and (word[0].start - run[-1][-1].end >= pause or word[-1].end - run[0][0].start > most):
            yield run
            run = []
        run.append(word)
    if run:
        yield run
