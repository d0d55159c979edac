"""What a network says to some examples, and how good that is; for tasks that do not search, a row of outputs each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from adapters.training.features import forward
from adapters.training.gate import difference
from adapters.training.recipe import Item, Outputs

Tick = Callable[[int, int], None]
"""Told how many of how many are done; may raise to stop a job."""


@dataclass(frozen=True)
class Judged:
    """The answer to each item in their order, figures, and the loss. ``largest``: of the numbers in the answers.

    ``counted``: how many answers are right or wrong each for itself: rows, or words. Fewer than one of them is chance.
    """

    answers: Sequence[Any]
    metrics: dict[str, Any]
    loss: float
    counted: int
    largest: float = 0.0


class _Measures(Protocol):
    def loss(self, outputs: Tensor, targets: Sequence[Any]) -> Tensor: ...

    def metrics(self, outputs: Tensor, targets: Sequence[Any]) -> dict[str, Any]: ...


class _Agrees(Protocol):
    def agrees(self, output: Tensor, body: object, example: Any) -> bool: ...


def judge_rows(adaptation: _Measures, items: Sequence[Item], outputs: Outputs, *, tick: Tick | None = None) -> Judged:
    """``Adaptation.judge`` where every item is answered with one row of the network's outputs."""
    rows = forward(items, outputs, tick=tick)
    targets = [item.target for item in items]
    loss = float(adaptation.loss(rows, targets))
    return Judged(list(rows), adaptation.metrics(rows, targets), loss, len(rows), largest=float(rows.abs().max()))


def compare_rows(adaptation: _Agrees, answer: Tensor, row: Any, body: object, example: Any) -> tuple[float, bool]:
    """``Adaptation.compare`` for such tasks."""
    return difference(np.asarray(row), answer.numpy()), adaptation.agrees(answer, body, example)
