"""Clips with transcripts, recordings joined of them, and word errors: what the speech benchmarks measure with."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from adapters.training.speech.scores import edits

RATE = 16_000
NOISE = 0.003  # of full scale, in the pauses that are not silent
LONG_PAUSE = 20  # clips, after each of which there is a long stretch without speech


@dataclass(frozen=True)
class Clip:
    """A file as it is sent, and what is said in it."""

    sound: bytes
    text: str

    @property
    def samples(self) -> NDArray[np.float32]:
        """(n,) at ``RATE``."""
        samples, rate = soundfile.read(io.BytesIO(self.sound), dtype="float32")
        if rate != RATE:
            raise ValueError(f"the clip has {rate} Hz, not {RATE}")
        return np.asarray(samples, dtype=np.float32)

    @property
    def seconds(self) -> float:
        return len(self.samples) / RATE


def read_clips(path: Path, most: int | None = None) -> list[Clip]:
    """The clips of a zip with ``metadata.csv`` (``file_name``, ``text``)."""
    with zipfile.ZipFile(path) as archive:
        rows = list(csv.DictReader(io.TextIOWrapper(archive.open("metadata.csv"), "utf-8")))[:most]
        return [Clip(archive.read(row["file_name"]), row["text"]) for row in rows]


def write_recording(clips: Sequence[Clip], minutes: float, target: Path, *, seed: int = 0) -> str:
    """A FLAC of clips in random order between pauses, silent or noisy, 0.2 to 2 s long and now and then 10 to 40 s.

    Answers what is said in it. Every clip is used once before any is used again.
    """
    draw = np.random.default_rng(seed)
    said: list[str] = []
    written = 0
    with soundfile.SoundFile(target, "w", RATE, 1, format="FLAC") as file:
        for place in _order(len(clips), draw):
            if written >= minutes * 60 * RATE:
                break
            long = len(said) % LONG_PAUSE == LONG_PAUSE - 1
            pause = np.zeros(int(RATE * (draw.uniform(10, 40) if long else draw.uniform(0.2, 2))), np.float32)
            if draw.random() < 0.5:
                pause = draw.normal(0, NOISE, len(pause)).astype(np.float32)
            for part in (pause, clips[place].samples):
                file.write(part)
                written += len(part)
            said.append(clips[place].text)
    return " ".join(said)


def _order(count: int, draw: np.random.Generator) -> Iterator[int]:
    while True:
        yield from draw.permutation(count).tolist()


def word_error_rate(said: Sequence[str], written: Sequence[str]) -> float:
    """Of all texts together, in lower case without punctuation."""
    pairs = [(_words(one), _words(other)) for one, other in zip(said, written, strict=True)]
    return sum(edits(other, one) for one, other in pairs) / sum(len(one) for one, _ in pairs)


def longest_loop(text: str, most: int = 12) -> int:
    """How many words the longest phrase has that is said again and again, all its repetitions counted; 0 without."""
    words, longest = _words(text), 0
    for period in range(1, most + 1):
        same = 0
        for place in range(period, len(words)):
            same = same + 1 if words[place] == words[place - period] else 0
            if same >= 2 * period:  # said three times at least
                longest = max(longest, same + period)
    return longest


def _words(text: str) -> list[str]:
    return re.sub(r"[^\w\s']", " ", text.lower()).split()
