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
    parts: Iterable[NDArray[np.float32]],
    rate: int,
    seconds: float,
    *,
    aim: float | None = None,
    first: float | None = None,
) -> Iterator[Stretch]:
    """A recording that comes in parts, whole if it is no longer than ``seconds``, else in pieces of at most ``aim``.

    They follow one another without gap, and nothing is left out; what is left at the end may be as long as ``seconds``.
    Little more than one piece is held. ``first``: at most so many seconds of the first piece, however short the whole.
    """
    hop, whole, most = int(STEP * rate), int(seconds * rate), int((aim or seconds) * rate)
    room = whole
    if first is not None:
        room, most = int(first * rate), min(most, int(first * rate))
    start, kept = 0, np.empty(0, np.float32)
    for part in parts:
        kept = np.concatenate([kept, part]) if len(kept) else part
        while len(kept) > room:
            least = int(LEAST * most)
            cut = least + _quietest(kept[least:most], hop)
            yield start, kept[:cut]
            start, kept, room, most = start + cut, kept[cut:], whole, int((aim or seconds) * rate)
    yield start, kept


def _quietest(samples: NDArray[np.float32], hop: int) -> int:
    """The middle of the quietest stretch; of equal ones the last."""
    energy = np.square(samples[: len(samples) // hop * hop], dtype=np.float32).reshape(-1, hop).mean(axis=1)
    around = np.convolve(energy, np.ones(QUIET, np.float32), mode="valid")
    return (len(around) - 1 - int(around[::-1].argmin()) + QUIET // 2) * hop + hop // 2
