"""What a text classifier is to learn: one label of several, any number of labels, or a score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from adapters.datasets import Example
from adapters.training.classification import Classification
from adapters.training.features import fit_probe
from adapters.training.scores import correlation_scores, labelling_scores
from zoo.tasks.ops import sigmoid

LIKELY = 0.5  # a label applies from this probability on
NEAR = 1e-3  # probabilities so near to it may fall on either side in a graph of another runtime
SCORE = "score"


class Aim(Protocol):
    """The part of ``recipe.Adaptation`` that depends on what is learnt; the network answers (batch, outputs)."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the outputs."""

    @property
    def headline(self) -> tuple[str, ...]:
        """Names of the first figures."""

    @property
    def function(self) -> str:
        """What makes scores of the outputs: ``softmax``, ``sigmoid`` or ``none``."""

    def new_head(self, width: int) -> nn.Linear:
        """A head on vectors of ``width`` numbers."""

    def target(self, example: Example) -> Any:
        """What the network should answer to an example."""

    def loss(self, outputs: Tensor, targets: Sequence[Any]) -> Tensor:
        """A mean over rows."""

    def fit_head(self, head: nn.Module, features: Tensor, targets: Sequence[Any], *, views: int) -> None:
        """Make the head the best linear answer to features of length one."""

    def metrics(self, outputs: Tensor, targets: Sequence[Any]) -> dict[str, Any]:
        """Figures, with ``score``."""

    def agrees(self, output: Tensor, body: Any, example: Example) -> bool:
        """Whether what a client is told says the same as the output."""


def aim_of(examples: Sequence[Example], labels: tuple[str, ...]) -> Aim:
    """What examples are to teach; ``labels`` are the classes of the data, if it has any."""
    if any(example.labels is not None for example in examples):
        return SeveralLabels(labels)
    if any(SCORE in example.values for example in examples):
        return Score([float(example.values[SCORE]) for example in examples])
    return OneLabel(labels)


class OneLabel(Classification):
    """One of the labels is right."""

    function = "softmax"

    def new_head(self, width: int) -> nn.Linear:
        return nn.Linear(width, len(self.labels))


class SeveralLabels:
    """Any number of the labels applies, each by itself. A target has 1 for each that does."""

    headline = ("macro_f1", "micro_f1")
    function = "sigmoid"

    def __init__(self, labels: tuple[str, ...]) -> None:
        self.labels = labels

    def new_head(self, width: int) -> nn.Linear:
        return nn.Linear(width, len(self.labels))

    def target(self, example: Example) -> list[float]:
        applying = set(example.labels or ())
        return [float(label in applying) for label in self.labels]

    def loss(self, outputs: Tensor, targets: Sequence[Any] | Tensor) -> Tensor:
        """Cross-entropy of each label, added up."""
        wanted = torch.as_tensor(targets, dtype=outputs.dtype)
        return functional.binary_cross_entropy_with_logits(outputs, wanted, reduction="sum") / len(outputs)

    def fit_head(self, head: nn.Module, features: Tensor, targets: Sequence[Any], *, views: int) -> None:
        probe = fit_probe(features, torch.tensor(targets), len(self.labels), views=views, loss=self.loss)
        head.load_state_dict(probe.layer.state_dict())

    def metrics(self, outputs: Tensor, targets: Sequence[Any]) -> dict[str, Any]:
        return labelling_scores(outputs.sigmoid().numpy() >= LIKELY, torch.tensor(targets).numpy() > 0, self.labels)

    def agrees(self, output: Tensor, body: Any, example: Example) -> bool:
        told = {one["label"]: float(one["score"]) for one in body}
        meant = dict(zip(self.labels, sigmoid(output.numpy()).tolist(), strict=True))
        sure = {label: score for label, score in meant.items() if abs(score - LIKELY) > NEAR}
        return told.keys() == meant.keys() and all(
            (told[label] >= LIKELY) == (score >= LIKELY) for label, score in sure.items()
        )


class ScoreHead(nn.Linear):
    """One number in the unit of the data, from weights in units of its standard deviation.

    So a rate of learning and a penalty mean the same for scores from 0 to 1 and from 0 to 100.
    """

    scale: Tensor
    centre: Tensor

    def __init__(self, width: int, *, scale: float, centre: float) -> None:
        super().__init__(width, 1)
        self.register_buffer("scale", torch.tensor(scale))
        self.register_buffer("centre", torch.tensor(centre))

    def forward(self, vectors: Tensor) -> Tensor:
        """(batch, 1)."""
        return super().forward(vectors) * self.scale + self.centre

    @torch.no_grad()
    def plain(self) -> nn.Linear:
        """The same as one linear layer."""
        layer = nn.Linear(self.in_features, 1)
        layer.weight.copy_(self.weight * self.scale)
        layer.bias.copy_(self.bias * self.scale + self.centre)
        return layer


class Score:
    """A number. ``scores`` are those of the data, for their unit."""

    labels = (SCORE,)
    headline = ("spearman", "pearson")
    function = "none"

    def __init__(self, scores: Sequence[float]) -> None:
        known = torch.tensor(scores, dtype=torch.float64)
        self._scale = float(known.std(correction=0)) or 1.0
        self._centre = float(known.mean())

    def new_head(self, width: int) -> ScoreHead:
        return ScoreHead(width, scale=self._scale, centre=self._centre)

    def target(self, example: Example) -> float:
        return float(example.values[SCORE])

    def loss(self, outputs: Tensor, targets: Sequence[Any]) -> Tensor:
        """Half the squared error, in standard deviations of the data."""
        wanted = torch.as_tensor(targets, dtype=outputs.dtype).reshape(-1, 1)
        return _half_square((outputs - self._centre) / self._scale, (wanted - self._centre) / self._scale)

    def fit_head(self, head: nn.Module, features: Tensor, targets: Sequence[Any], *, views: int) -> None:
        """Ridge regression."""
        wanted = (torch.tensor(targets).reshape(-1, 1) - self._centre) / self._scale
        probe = fit_probe(features, wanted, 1, views=views, loss=_half_square)
        with torch.no_grad():
            for name, value in probe.layer.named_parameters():
                head.get_parameter(name).copy_(value)

    def metrics(self, outputs: Tensor, targets: Sequence[Any]) -> dict[str, Any]:
        return correlation_scores(outputs.reshape(-1).tolist(), targets)

    def agrees(self, output: Tensor, body: Any, example: Example) -> bool:
        (told,) = body
        near = abs(float(told["score"]) - float(output)) <= NEAR * max(1.0, self._scale)
        return near and told["label"] == SCORE


def _half_square(outputs: Tensor, targets: Tensor) -> Tensor:
    return 0.5 * functional.mse_loss(outputs, targets)
