"""Where a long recording is cut: at its quietest moments, so that no word falls into two pieces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

STEP = 0.02  # seconds of which the loudness is taken
QUIET = 15  # of them, around a cut: 0.3 s, longer than the gaps inside of words
LEAST = 0.6  # of the longest piece: no cut is made before


Stretch = tuple[int, NDArray[np.float32]]
"""The sample at which a piece starts, and its samples."""


def stretches(
    parts: Iterable[NDArray[np.float32]], rate: int, seconds: float, *, first: float | None = None
) -> Iterator[Stretch]:
    """Pieces of at most ``seconds`` of a recording that comes in parts; little more than one piece is held.

    They follow one another without gap, and nothing is left out. ``first``: at most so many seconds of the first piece.
    """
    most, hop = int((seconds if first is None else first) * rate), int(STEP * rate)
    start, kept = 0, np.empty(0, np.float32)
    for part in parts:
        kept = np.concatenate([kept, part]) if len(kept) else part
        while len(kept) > most:
            least = int(LEAST * most)
            cut = least + _quietest(kept[least:most], hop)
            yield start, kept[:cut]
            start, kept, most = start + cut, kept[cut:], int(seconds * rate)
    yield start, kept


def _quietest(samples: NDArray[np.float32], hop: int) -> int:
    """The middle of the quietest stretch; of equal ones the last."""
    energy = np.square(samples[: len(samples) // hop * hop], dtype=np.float32).reshape(-1, hop).mean(axis=1)
    around = np.convolve(energy, np.ones(QUIET, np.float32), mode="valid")
    return (len(around) - 1 - int(around[::-1].argmin()) + QUIET // 2) * hop + hop // 2
