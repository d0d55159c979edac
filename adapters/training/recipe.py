"""The contract of a recipe: how a checkpoint of one task is served, and how it is adapted. Found by the task's name.

Everything that differs between tasks is behind these two protocols, so that importing and adapting read alike for all.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from onnx import ModelProto
from torch import Tensor, nn

from adapters.datasets import Example
from zoo.catalogue.entry import ModelEntry
from zoo.errors import Unsupported
from zoo.tasks.task import is_task

Batch = dict[str, Tensor]


@dataclass(frozen=True)
class Servable:
    """A torch module that is to be served: named integer or float inputs to one output, and what its manifest says.

    ``example(rows, length)`` makes inputs of any size, for export and for the comparison on other sizes. ``axes`` names
    the axes that may vary; ``limit`` is the largest value of the axis called ``length``.
    """

    module: nn.Module
    inputs: tuple[str, ...]
    output: str
    example: Callable[[int, int], Batch]
    axes: dict[int, str]
    limit: int
    architecture: str
    labels: tuple[str, ...] = ()
    limits: dict[str, int] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Item:
    """One encoded example: named one-dimensional tensors and its length, by which batches are formed."""

    tensors: Batch
    length: int


class Adaptation(Protocol):
    """One model being adapted to one data set.

    ``network`` has two parts: ``body`` (pre-trained, gets LoRA) and ``head`` (new, trained in full). ``labels`` are the
    data set's classes in the order of the head's outputs.
    """

    @property
    def network(self) -> nn.Module:
        """The whole, from inputs to outputs."""

    @property
    def body(self) -> nn.Module:
        """The pre-trained part, without adapters."""

    @property
    def head(self) -> nn.Linear:
        """The new layer."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, in the order of the outputs."""

    def encode(self, examples: Sequence[Example]) -> list[Item]:
        """Each example's inputs, ready to be collated."""

    def collate(self, items: Sequence[Item]) -> Batch:
        """Inputs of ``network`` for some items, padded to the longest."""

    def targets(self, examples: Sequence[Example]) -> Tensor:
        """What the network should answer to each example, (rows,) or (rows, …)."""

    def features(self, batch: Batch) -> Tensor:
        """What the head sees, (rows, width): the input of the probe."""

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """A scalar to be minimised."""

    def metrics(self, outputs: Tensor, targets: Tensor) -> dict[str, Any]:
        """Figures on held-out rows; ``score`` is the one that models are compared by, higher is better."""

    def answers(self, outputs: Tensor) -> list[str]:
        """The label that each row of outputs stands for, for the comparison with what is served."""

    def request(self, example: Example) -> object:
        """What a client would send for this example."""

    def served_answer(self, body: object) -> str:
        """The label in a served answer to one such request."""

    def servable(self) -> Servable:
        """The network as it is to be exported; its LoRA layers have been merged by then."""

    def extend(self, graph: ModelProto) -> bool:
        """Put the head on the body's graph, so that it answers as ``servable``; False if that cannot be done."""


class Recipe(Protocol):
    """One file in ``recipes``: ``load`` for importing; ``adapt`` where the task can be adapted."""

    def load(self, checkpoint: Path) -> Servable:
        """The checkpoint as it is to be served; raises ``Unsupported`` for an architecture of another task."""

    def adapt(self, checkpoint: Path, base: ModelEntry, examples: Sequence[Example], *, max_tokens: int) -> Adaptation:
        """Body of the checkpoint with a new head for the labels of the examples."""


def load_recipe(task: str) -> Recipe:
    """The recipe of a task; raises ``Unsupported`` when this release cannot import or adapt it."""
    stem = task.replace("-", "_")
    if not is_task(task) or not (Path(__file__).parent / "recipes" / f"{stem}.py").is_file():
        message = f"This release can neither import nor adapt models for {task[:64]}."
        raise Unsupported(message, code="unsupported_task", param="task")
    return cast(Recipe, importlib.import_module(f"adapters.training.recipes.{stem}"))


def seeded(seed: int) -> torch.Generator:
    """A generator of its own, so that nobody else's draws change a result."""
    return torch.Generator().manual_seed(seed)
