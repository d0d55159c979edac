"""When each token was said: the path along which a decoder's attention follows the sound.

Dynamic time warping (Sakoe and Chiba, 1978) over the attention of those heads that do follow it, as OpenAI's Whisper
finds the times of words (release 20231105) and transformers after it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zoo.tasks.decoding.cached_decoder import Floats

SECONDS = 0.02  # a position
WIDTH = 7  # positions of the median
DIAGONAL, DOWN, RIGHT = 0, 1, 2


def moments(attention: Floats) -> tuple[float, ...]:
    """Seconds from the window's start at which each token begins to be read, of attention (heads, tokens, positions).

    What is read there is the token before: a token that is written is over when its own reading begins.
    """
    spread = attention.std(axis=1, keepdims=True)
    even = (attention - attention.mean(axis=1, keepdims=True)) / np.where(spread > 0, spread, 1)
    followed = _smoothed(even).mean(axis=0)
    return tuple(float(SECONDS * place) for place in first_positions(-followed))


def _smoothed(values: Floats) -> Floats:
    """The median of ``WIDTH`` values along the last axis, mirrored at the edges."""
    half = WIDTH // 2
    if values.shape[-1] <= half:
        return values
    padded = np.pad(values, ((0, 0), (0, 0), (half, half)), mode="reflect")
    return np.asarray(np.median(np.lib.stride_tricks.sliding_window_view(padded, WIDTH, axis=-1), axis=-1), np.float32)


def first_positions(costs: NDArray[np.floating]) -> list[int]:
    """The column at which the cheapest way from corner to corner enters each row of ``costs`` (rows, columns).

    A step goes right, down or both; all cells of a diagonal from below left to above right are taken at once.
    """
    rows, columns = costs.shape
    trace = np.full((rows + 1, columns + 1), RIGHT, dtype=np.int8)
    trace[1:, 0] = DOWN
    before, last = np.full((2, rows + 1), np.inf, dtype=np.float32)  # by row, of the two diagonals before
    before[0] = 0.0
    for diagonal in range(2, rows + columns + 1):
        row = np.arange(max(1, diagonal - columns), min(rows, diagonal - 1) + 1)
        both, down, right = before[row - 1], last[row - 1], last[row]
        diagonally = (both < down) & (both < right)
        downwards = ~diagonally & (down < both) & (down < right)
        trace[row, diagonal - row] = np.where(diagonally, DIAGONAL, np.where(downwards, DOWN, RIGHT))
        before, last = last, np.full(rows + 1, np.inf, dtype=np.float32)
        least = np.where(diagonally, both, np.where(downwards, down, right))
        last[row] = costs[row - 1, diagonal - row - 1] + least
    return _entries(trace)


def _entries(trace: NDArray[np.int8]) -> list[int]:
    row, column = trace.shape[0] - 1, trace.shape[1] - 1
    found = [0] * row
    while row > 0 or column > 0:
        if row > 0:
            found[row - 1] = max(0, column - 1)
        step = trace[row, column]
        row, column = row - (step != RIGHT), column - (step != DOWN)
    return found
