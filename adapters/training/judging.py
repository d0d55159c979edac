"""What a network says to some examples, and how good that is; for tasks that do not search, a row of outputs each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from adapters.training.features import forward
from adapters.training.gate import difference
from adapters.training.recipe import Item, Outputs

FEW, HALF = 30, 0.5  # rows whose loss does not tell how much of a training to keep, and what is kept of it then
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


def best_share(found: Mapping[float, Judged]) -> float:
    """How much of what training changed does best, given how each share of it does on held-out rows; 0 is the start.

    Of scores that one row tells apart, or one word, the loss decides: it is the finer measure, and 100 rows whose
    accuracies tied gave up a training that had taken a third off the loss. Of few rows it is chance as well, and the
    half is taken of a training that changed anything: of 50 clips of fsdd and of speech_commands_small, three draws
    each, that got .9683 and .9925 right of 400 others, the start .9550 and .9900, what the loss of 10 rows chose .9650
    and .9908.
    """
    best = max(one.metrics["score"] for one in found.values())
    equal = {share: one for share, one in found.items() if one.metrics["score"] >= best - 1 / one.counted}
    losses = {share: round(one.loss, 4) for share, one in sorted(equal.items())}
    if HALF in equal and equal[HALF].counted < FEW and losses[HALF] != losses.get(0.0):
        return HALF
    return min(losses, key=losses.__getitem__)


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
