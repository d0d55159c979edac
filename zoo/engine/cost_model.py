"""How long a batch will run, by its shape: fitted to what was measured, refined by every batch that runs."""

from __future__ import annotations

import threading
from collections.abc import Sequence

FORGETTING = 0.95  # weight of a measurement that is one batch older: the last twenty or so decide
LEAST_MS = 1e-3
OVERHEAD = 0.3  # of a first short batch, taken for what a run costs whatever is in it, until others tell more
Three = tuple[float, float, float]


class CostModel:
    """Milliseconds of a run: ``a + b · rows · longest + c · rows · longest²``; safe to use from several threads.

    ``longest`` is the cost of the costliest row (tokens, pixels, samples): the others are filled up to it. The square
    stands for attention. Recursive least squares with exponential forgetting (Haykin, "Adaptive Filter Theory", ch. 10)
    on relative errors, so that short batches count as much as long ones. ``unit`` is the cost that a full batch has.
    """

    def __init__(self, unit: int) -> None:
        self._unit = max(1, unit)
        self._lock = threading.Lock()
        self._factors: Three | None = None
        self._spread: list[list[float]] = [[0.0] * 3 for _ in range(3)]
        self._most = 0.0

    def learn(self, rows: int, longest: int, ms: float) -> None:
        """Take in one run."""
        share, ms = longest / self._unit, max(ms, LEAST_MS)
        shape = (1.0, rows * share, rows * share * share)
        with self._lock:
            if self._factors is None:
                first = shape[1] or 1.0
                self._factors = (OVERHEAD * ms, (1 - OVERHEAD) * ms / first, 0.0)
                for place, deviation in enumerate((ms, ms / first, ms / first)):
                    self._spread[place][place] = deviation**2
                self._most = _trace(self._spread)
            else:
                self._refine(self._factors, (1.0 / ms, shape[1] / ms, shape[2] / ms))

    def _refine(self, factors: Three, scaled: Three) -> None:
        """In plain numbers: with arrays of three it took five times as long, once for every batch."""
        spread = self._spread
        seen = [_dot(row, scaled) for row in spread]  # the spread is symmetric
        known = FORGETTING + _dot(seen, scaled)
        wrong = (1.0 - _dot(factors, scaled)) / known
        first, linear, square = (max(one + part * wrong, 0.0) for one, part in zip(factors, seen, strict=True))
        self._factors = first, linear, square
        for row, gain in zip(spread, seen, strict=True):
            for place, part in enumerate(seen):
                row[place] = (row[place] - gain * part / known) / FORGETTING
        # Shapes that never change tell nothing of the others: their uncertainty would grow without end.
        shrink = min(1.0, self._most / _trace(spread))
        for row in spread:
            row[:] = [shrink * part for part in row]

    def ms(self, rows: int, longest: int) -> float:
        """What a run will take; 0 while nothing is known."""
        factors = self._factors
        if factors is None:
            return 0.0
        overhead, linear, square = factors
        share = longest / self._unit
        return max(overhead + rows * share * (linear + square * share), LEAST_MS)


def _dot(one: Sequence[float], other: Sequence[float]) -> float:
    return one[0] * other[0] + one[1] * other[1] + one[2] * other[2]


def _trace(matrix: Sequence[Sequence[float]]) -> float:
    return matrix[0][0] + matrix[1][1] + matrix[2][2]
