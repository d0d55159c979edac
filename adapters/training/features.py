"""One pass over the data with the frozen body, and the linear probe on what it gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from adapters.training.recipe import Item, Outputs

# Inverse strength of the penalty, as in scikit-learn's C; on unit-length vectors the best one lies in here.
STRENGTHS = (1.0, 4.0, 16.0)
FOLDS = 4
SAME = 1e-4  # losses that the end of a search may tell apart, on one processor or another
Loss = Callable[[Tensor, Tensor], Tensor]
"""Of outputs (rows, outputs) against targets (rows, …): a mean over rows."""
BATCH_COST = 2048  # tokens of one forward pass, padding counted


class Long(Protocol):
    """What costs as much as its length."""

    @property
    def length(self) -> int: ...


def by_length(items: Sequence[Long], *, cost: int = BATCH_COST) -> Iterator[list[int]]:
    """Places of items in batches of similar length, each at most ``cost`` with padding counted."""
    batch: list[int] = []
    for place in sorted(range(len(items)), key=lambda place: items[place].length):
        if batch and items[place].length * (len(batch) + 1) > cost:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def forward(items: Sequence[Item], outputs: Outputs, *, tick: Callable[[int, int], None] | None = None) -> Tensor:
    """``outputs`` of every item, batched by length, in the order of the items: (items, …)."""
    return torch.stack(answers_of(items, outputs, tick=tick))


@torch.no_grad()
def answers_of(
    items: Sequence[Item], outputs: Outputs, *, tick: Callable[[int, int], None] | None = None
) -> list[Tensor]:
    """As ``forward``, for outputs whose shape may differ from batch to batch."""
    answers: list[Tensor | None] = [None] * len(items)
    done = 0
    for places in by_length(items):
        for place, row in zip(places, outputs([items[place] for place in places]).float(), strict=True):
            answers[place] = row
        done += len(places)
        if tick is not None:
            tick(done, len(items))
    return [row for row in answers if row is not None]


class Probe:
    """Multinomial logistic regression on frozen features, or with another loss, fitted by L-BFGS to its optimum.

    ``strength`` is scikit-learn's C; for two classes half of it, as here each class has weights of its own.
    """

    def __init__(
        self,
        features: Tensor,
        targets: Tensor,
        classes: int,
        *,
        strength: float,
        start: nn.Linear | None = None,
        loss: Loss = functional.cross_entropy,
    ) -> None:
        self.strength = strength
        self.layer = nn.Linear(features.shape[1], classes)
        with torch.no_grad():
            if start is not None:
                self.layer.load_state_dict(start.state_dict())
            else:
                self.layer.weight.zero_()
                self.layer.bias.zero_()
        optimiser = torch.optim.LBFGS(
            self.layer.parameters(),
            lr=1.0,
            max_iter=200,
            history_size=10,
            tolerance_grad=1e-5,
            line_search_fn="strong_wolfe",
        )

        def closure() -> Tensor:
            optimiser.zero_grad()
            penalty = 0.5 / strength * self.layer.weight.square().sum()
            total: Tensor = loss(self.layer(features), targets) + penalty / len(features)
            total.backward()  # type: ignore[no-untyped-call]
            return total.detach()

        optimiser.step(closure)  # type: ignore[no-untyped-call]

    @torch.no_grad()
    def logits(self, features: Tensor) -> Tensor:
        """(rows, classes)."""
        answer: Tensor = self.layer(features)
        return answer


def fit_probe(
    features: Tensor, targets: Tensor, classes: int, *, views: int = 1, loss: Loss = functional.cross_entropy
) -> Probe:
    """The probe whose strength does best in cross-validation over interleaved folds (rows come in random order).

    ``views`` rows stand for each example, one behind the other. The strength is chosen on the first of each; the others
    are fitted too where that is no worse in the same cross-validation, all views of an example counting as one row.
    """
    trials = _Trials(features, targets, classes, loss)
    firsts = _Trials(features[::views], targets[::views], classes, loss)
    strength, least = firsts.best_strength()
    if views == 1 or trials.cost(strength / views, views=views) > least * (1 + SAME):
        return Probe(firsts.features, firsts.targets, classes, strength=strength, loss=loss)
    return Probe(features, targets, classes, strength=strength / views, loss=loss)


@dataclass(frozen=True)
class _Trials:
    """Cross-validation of probes on some rows."""

    features: Tensor
    targets: Tensor
    classes: int
    loss: Loss

    def best_strength(self) -> tuple[float, float]:
        """The best strength and its loss, summed over all rows."""
        starts: dict[int, nn.Linear] = {}
        costs = {strength: self.cost(strength, starts=starts) for strength in STRENGTHS}
        best = min(costs, key=lambda strength: costs[strength])
        return best, costs[best]

    def cost(self, strength: float, *, views: int = 1, starts: dict[int, nn.Linear] | None = None) -> float:
        """Loss on the first view of each example; no view of it is on the other side of a fold.

        ``starts`` holds the fitted layer of each fold, to go on from with the next strength.
        """
        fold = torch.arange(len(self.features) // views).repeat_interleave(views) % FOLDS
        first = torch.arange(len(self.features)) % views == 0
        cost = 0.0
        for index in range(FOLDS):
            inside, outside = fold != index, (fold == index) & first
            if not outside.any():
                continue
            start = starts.get(index) if starts is not None else None
            seen = self.features[inside], self.targets[inside]
            probe = Probe(*seen, self.classes, strength=strength, start=start, loss=self.loss)
            if starts is not None:
                starts[index] = probe.layer
            apart = self.loss(probe.logits(self.features[outside]), self.targets[outside])
            cost += float(apart) * int(outside.sum())
        return cost
