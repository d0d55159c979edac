"""How long a batch will run, by its shape: fitted to what was measured, refined by every batch that runs."""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

FORGETTING = 0.95  # weight of a measurement that is one batch older: the last twenty or so decide
LEAST_MS = 1e-3
OVERHEAD = 0.3  # of a first short batch, taken for what a run costs whatever is in it, until others tell more


class CostModel:
    """Milliseconds of a run: ``a + b · rows · longest + c · rows · longest²``; safe to use from several threads.

    ``longest`` is the cost of the costliest row (tokens, pixels, samples): the others are filled up to it. The square
    stands for attention. Recursive least squares with exponential forgetting (Haykin, "Adaptive Filter Theory", ch. 10)
    on relative errors, so that short batches count as much as long ones. ``unit`` is the cost that a full batch has.
    """

    def __init__(self, unit: int) -> None:
        self._unit = max(1, unit)
        self._lock = threading.Lock()
        self._factors: NDArray[np.float64] | None = None
        self._spread: NDArray[np.float64] = np.eye(3)
        self._most = 3.0

    def learn(self, rows: int, longest: int, ms: float) -> None:
        """Take in one run."""
        shape, ms = self._shape(rows, longest), max(ms, LEAST_MS)
        with self._lock:
            if self._factors is None:
                first = float(shape[1]) or 1.0
                self._factors = np.array([OVERHEAD * ms, (1 - OVERHEAD) * ms / first, 0.0])
                self._spread = np.diag([ms**2, (ms / first) ** 2, (ms / first) ** 2])
                self._most = float(np.trace(self._spread))
                return
            scaled = shape / ms
            gain = self._spread @ scaled / (FORGETTING + scaled @ self._spread @ scaled)
            self._factors = np.maximum(self._factors + gain * (1.0 - scaled @ self._factors), 0.0)
            self._spread = (self._spread - np.outer(gain, scaled @ self._spread)) / FORGETTING
            # Shapes that never change tell nothing of the others: their uncertainty would grow without end.
            self._spread *= min(1.0, self._most / float(np.trace(self._spread)))

    def ms(self, rows: int, longest: int) -> float:
        """What a run will take; 0 while nothing is known."""
        factors = self._factors
        if factors is None:
            return 0.0
        overhead, linear, square = factors.tolist()
        share = longest / self._unit
        return float(max(overhead + rows * share * (linear + square * share), LEAST_MS))

    def _shape(self, rows: int, longest: int) -> NDArray[np.float64]:
        share = longest / self._unit
        return np.array([1.0, rows * share, rows * share * share])
