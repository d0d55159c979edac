"""One pass over the data with the frozen body, and the linear probe on what it gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from adapters.training.recipe import Item

# Inverse strength of the penalty, as in scikit-learn's C; on unit-length vectors the best one lies in here.
STRENGTHS = (1.0, 4.0, 16.0)
FOLDS = 4
BATCH_COST = 2048  # tokens of one forward pass, padding counted


def by_length(items: Sequence[Item], *, cost: int = BATCH_COST) -> Iterator[list[int]]:
    """Places of items in batches of similar length, each at most ``cost`` with padding counted."""
    batch: list[int] = []
    for place in sorted(range(len(items)), key=lambda place: items[place].length):
        if batch and items[place].length * (len(batch) + 1) > cost:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


@torch.no_grad()
def forward(items: Sequence[Item], outputs: Callable[[Sequence[Item]], Tensor]) -> Tensor:
    """``outputs`` of every item, batched by length, in the order of the items: (items, …)."""
    answers: list[Tensor | None] = [None] * len(items)
    for places in by_length(items):
        for place, row in zip(places, outputs([items[place] for place in places]).float(), strict=True):
            answers[place] = row
    return torch.stack([row for row in answers if row is not None])


class Probe:
    """Multinomial logistic regression on frozen features, fitted by L-BFGS to scikit-learn's optimum.

    ``strength`` is scikit-learn's C; for two classes half of it, as here each class has weights of its own.
    """

    def __init__(
        self, features: Tensor, targets: Tensor, classes: int, *, strength: float, start: nn.Linear | None = None
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
            loss = functional.cross_entropy(self.layer(features), targets, reduction="sum")
            penalty = 0.5 / strength * self.layer.weight.square().sum()
            total: Tensor = (loss + penalty) / len(features)
            total.backward()  # type: ignore[no-untyped-call]
            return total.detach()

        optimiser.step(closure)  # type: ignore[no-untyped-call]

    @torch.no_grad()
    def logits(self, features: Tensor) -> Tensor:
        """(rows, classes)."""
        answer: Tensor = self.layer(features)
        return answer


def fit_probe(features: Tensor, targets: Tensor, classes: int, *, views: int = 1) -> Probe:
    """The probe whose strength does best in cross-validation over interleaved folds (rows come in random order).

    ``views`` rows stand for each example, one behind the other; the strength is chosen on the first of each, the probe
    is fitted to all, which together count as one (hymenoptera: .941 with a sixth of the strength, .935 with the whole).
    """
    strength = _strength(features[::views], targets[::views], classes)
    return Probe(features, targets, classes, strength=strength / views)


def _strength(features: Tensor, targets: Tensor, classes: int) -> float:
    fold = torch.arange(len(features)) % FOLDS
    best, best_loss = STRENGTHS[0], float("inf")
    starts: dict[int, nn.Linear] = {}
    for strength in STRENGTHS:
        loss = 0.0
        for index in range(FOLDS):
            inside, outside = fold != index, fold == index
            if not outside.any():
                continue
            probe = Probe(features[inside], targets[inside], classes, strength=strength, start=starts.get(index))
            starts[index] = probe.layer
            loss += float(functional.cross_entropy(probe.logits(features[outside]), targets[outside], reduction="sum"))
        if loss < best_loss:
            best, best_loss = strength, loss
    return best
