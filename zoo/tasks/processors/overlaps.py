"""A long recording in pieces that overlap, so that what is heard at an edge of one stands in the middle of another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Piece:
    """Samples (n,), of which the first ``left`` and the last ``right`` are for what they tell about the others."""

    samples: NDArray[np.float32]
    left: int
    right: int


def overlapping(parts: Iterable[NDArray[np.float32]], size: int, left: int, right: int) -> Iterator[Piece]:
    """Pieces of ``size`` samples, the last one shorter, of a recording that comes in parts; little more is held.

    Without their margins they follow one another and leave nothing out; ``left + right`` is less than ``size``.
    """
    kept, first = np.empty(0, np.float32), True
    for part in parts:
        kept = np.concatenate([kept, part]) if len(kept) else part
        while len(kept) > size:
            yield Piece(kept[:size], 0 if first else left, right)
            kept, first = kept[size - left - right :], False
    yield Piece(kept, 0 if first else left, 0)
