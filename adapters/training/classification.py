"""What adaptations to one label an example have in common, whatever they read: loss, figures, agreement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from adapters.datasets import Example
from adapters.training.features import fit_probe
from adapters.training.judging import compare_rows, judge_rows
from adapters.training.scores import classification_scores


class Classification:
    """The part of ``recipe.Adaptation`` for networks that answer (batch, labels), of which one is right.

    A target is the place of an example's label in ``labels``.
    """

    headline = ("accuracy", "macro_f1")
    probes = True
    knows = False
    judge = judge_rows
    compare = compare_rows

    def __init__(self, labels: tuple[str, ...]) -> None:
        self.labels = labels
        self._places = {label: place for place, label in enumerate(labels)}

    def target(self, example: Example) -> int:
        """What the network should answer to an example."""
        return self._places[example.values["label"]]

    def loss(self, outputs: Tensor, targets: Sequence[int]) -> Tensor:
        return functional.cross_entropy(outputs, torch.tensor(targets))

    def fit_head(self, head: nn.Module, features: Tensor, targets: Sequence[int], *, views: int) -> None:
        """Make the head a probe: multinomial logistic regression."""
        probe = fit_probe(features, torch.tensor(targets), len(self.labels), views=views)
        head.load_state_dict(probe.layer.state_dict())

    def metrics(self, outputs: Tensor, targets: Sequence[int]) -> dict[str, Any]:
        return classification_scores(outputs.argmax(dim=1).tolist(), targets, self.labels)

    def agrees(self, output: Tensor, body: Any, example: Example) -> bool:
        return bool(body[0]["label"] == self.labels[int(output.argmax())])
