"""Where a long recording is cut: at its quietest moments, so that no word falls into two pieces."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

STEP = 0.02  # seconds of which the loudness is taken
QUIET = 15  # of them, around a cut: 0.3 s, longer than the gaps inside of words
LEAST = 0.6  # of the longest piece: no cut is made before


def pieces(samples: NDArray[np.float32], rate: int, seconds: float) -> Iterator[tuple[int, int]]:
    """Start and end of pieces of at most ``seconds`` that follow one another without gap; nothing is left out."""
    most, hop = int(seconds * rate), int(STEP * rate)
    start = 0
    while len(samples) - start > most:
        least = start + int(LEAST * most)
        cut = least + _quietest(samples[least : start + most], hop)
        yield start, cut
        start = cut
    yield start, len(samples)


def _quietest(samples: NDArray[np.float32], hop: int) -> int:
    """The middle of the quietest stretch; of equal ones the last."""
    energy = np.square(samples[: len(samples) // hop * hop], dtype=np.float32).reshape(-1, hop).mean(axis=1)
    around = np.convolve(energy, np.ones(QUIET, np.float32), mode="valid")
    return (len(around) - 1 - int(around[::-1].argmin()) + QUIET // 2) * hop + hop // 2
