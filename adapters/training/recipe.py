"""The contract of a recipe: how a checkpoint of one task is served, and how it is adapted. Found by the task's name.

Everything that differs between tasks is behind these two protocols, so that importing and adapting read alike for all.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import torch
from onnx import ModelProto
from torch import Tensor, nn

from adapters.datasets import Example
from adapters.jobs import Hyperparameters
from zoo.catalogue.entry import ModelEntry
from zoo.engine.head import Readout
from zoo.engine.predictor import MODEL_FILE
from zoo.errors import Unsupported
from zoo.tasks.task import is_task

if TYPE_CHECKING:
    from adapters.training.judging import Judged, Tick

Batch = dict[str, Tensor]
Outputs = Callable[["Sequence[Item]"], Tensor]
"""What a network answers to some items."""
Size = tuple[int, ...]
"""What may vary in an input beside the rows: (length,) of texts, (height, width) of pictures."""


@dataclass(frozen=True)
class Servable:
    """A torch module that is to be served: named inputs to named outputs, and what its manifest says.

    ``module(**inputs)`` answers with a tensor, or a tuple of them in the order of ``outputs``; rows are the first axis
    of each. ``example(rows, size)`` makes inputs: ``sizes[0]`` is traced, the comparison tries all of them. ``axes``
    names the axes of every input that may vary, ``axes_of`` those of one input instead, ``bounds`` the largest value of
    a name, ``least`` the smallest for which the network goes the way that is traced: what is not said, the exporter
    finds out and traces a second time. ``files`` are served beside the graph: name in the version -> where it lies.
    ``further`` graphs of the same version, by name, are described by the fields up to ``least``. ``body`` is the part
    that adapters of this model stand beside, where ``module`` is that alone or under one linear layer; ``bare`` makes
    it by itself where the graphs have another form, and raises ``Unsupported`` where it cannot be adapted.
    """

    module: nn.Module
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    example: Callable[[int, Size], Batch]
    sizes: tuple[Size, ...]
    axes: dict[int, str]
    architecture: str
    bounds: dict[str, int] = field(default_factory=dict)
    least: dict[str, int] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    limits: dict[str, int] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)
    axes_of: dict[str, dict[int, str]] = field(default_factory=dict)
    further: dict[str, Servable] = field(default_factory=dict)
    body: nn.Module | None = None
    bare: Callable[[], Servable] | None = None

    def graphs(self) -> dict[str, Servable]:
        """File in the version -> what it holds; the main graph first."""
        return {MODEL_FILE: self, **{f"{name}.onnx": graph for name, graph in self.further.items()}}


@dataclass(frozen=True, eq=False)
class Item:
    """One example as the network reads it: ``length`` is what it costs, in tokens or as many as it costs like.

    ``tensors`` is there, or made by ``load`` each time that the item is collated: pictures would fill the memory.
    ``target`` is what the network should answer, in the form that the adaptation's loss reads. An example longer than
    the network reads at once has ``parts``: each is learnt from by itself, all are judged as one.
    """

    length: int
    target: Any
    tensors: Batch = field(default_factory=dict)
    load: Callable[[], Batch] | None = None
    parts: tuple[Item, ...] = ()

    def read(self) -> Batch:
        """The named tensors, without an axis for rows."""
        return self.tensors if self.load is None else self.load()


def lessons(items: Sequence[Item]) -> list[Item]:
    """What the network reads of some items: each as it is, or its parts."""
    return [part for item in items for part in item.parts or (item,)]


@dataclass(frozen=True)
class Defaults:
    """What "auto" means for a kind of adaptation, measured on real data sets.

    An epoch is a pass over the rows; there are as many as make about ``updates`` of them, within bounds. ``top`` is the
    share of the body's steps, from the last one down, that get LoRA. ``views`` are fixed augmented copies of each
    training example, of which every epoch sees another. ``rough``: passes that only train or choose run in bfloat16
    where the CPU multiplies it (EfficientNet-Lite0: 2.6 times the speed of float32); what is measured never does.
    Below ``refit_below`` rows the network is trained once more on all rows when the figures are known, ``refits`` times
    in different order, of which the mean is taken. ``shares`` of what training changed are tried on the held-out rows,
    and nothing of it. ``together``:
    the most that one pass with gradients may cost, padding counted; a batch that costs more is done in parts, whose
    losses, means over their rows, are added up. ``plain_attention``: lengths are those of rows that attention reads,
    so that the trainer can tell whether they are short enough for it to be faster step by step.
    """

    updates: int
    epochs: tuple[int, int]
    batch_size: tuple[int, int]  # below and from 1,000 rows on
    learning_rate: tuple[float, float]  # likewise
    lora_rank: int
    top: float
    views: int = 1
    rough: bool = False
    refit_below: int = 0
    refits: int = 1
    shares: tuple[float, ...] = (0.5, 1.0)
    together: int | None = None
    plain_attention: bool = False


class Adaptation(Protocol):
    """One model being adapted to one data set.

    ``network`` has two parts: ``body`` (pre-trained, gets LoRA) and ``head`` (new, trained in full). It answers with
    one tensor that ``loss`` reads. ``headline`` names the figures that a reader wants first; ``probes`` tells whether
    the head is one linear layer on ``features``, ``knows`` whether the pre-trained model does the task already.
    """

    @property
    def network(self) -> nn.Module:
        """The whole, from inputs to outputs."""

    @property
    def body(self) -> nn.Module:
        """The pre-trained part, without adapters."""

    @property
    def head(self) -> nn.Module:
        """The new part."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, in the order of the outputs."""

    @property
    def headline(self) -> tuple[str, ...]:
        """Names of the first figures."""

    @property
    def probes(self) -> bool:
        """Whether ``features`` and a linear probe on them make sense."""

    @property
    def knows(self) -> bool:
        """Whether the network, before anything is learnt, is one to compare with and to fall back on."""

    @property
    def defaults(self) -> Defaults:
        """What "auto" means here."""

    @property
    def max_tokens(self) -> int | None:
        """Where inputs are cut, if they are."""

    @property
    def readout(self) -> Readout | None:
        """How what is published reads its body's vectors; None where a body cannot answer for it."""

    def steps(self) -> Sequence[nn.Module]:
        """The parts of the body that run one after the other on one tensor; some or all of them get LoRA."""

    @property
    def taps(self) -> tuple[int, ...]:
        """Places of steps whose outputs the head reads, beside that of the last one."""

    def encode(self, examples: Sequence[Example], *, views: int = 1) -> list[Item]:
        """``views`` items for each example, one behind the other: the first as it is served, the others augmented."""

    def collate(self, items: Sequence[Item], *, entered: bool = False) -> Batch:
        """Inputs of ``network`` for some items. ``entered``: kept activations will replace what they would give."""

    def features(self, batch: Batch) -> Tensor:
        """What a linear head sees, (rows, width): the input of the probe."""

    def fit_head(self, head: nn.Module, features: Tensor, targets: Sequence[Any], *, views: int) -> None:
        """Make a linear head the probe on ``features``, ``views`` rows for each example. Only where ``probes``."""

    def loss(self, outputs: Tensor, targets: Sequence[Any]) -> Tensor:
        """A scalar to be minimised."""

    def judge(self, items: Sequence[Item], outputs: Outputs, *, tick: Tick | None = None) -> Judged:
        """What the network says to each item: a row of ``outputs`` or what a search found, with figures and loss.

        Of the figures ``score`` is the one that models are compared by, higher is better. ``tick`` hears of progress.
        """

    def compare(self, answer: Any, row: Any, body: object, example: Example) -> tuple[float, bool]:
        """How far a served row is from the network's answer, and whether what a client is told says the same."""

    def request(self, example: Example) -> object:
        """What a client would send for this example."""

    def servable(self) -> Servable:
        """The network as it is to be exported; its LoRA layers have been merged by then."""

    def extend(self, graphs: Mapping[str, ModelProto]) -> bool:
        """Put the head on the body's graphs, by file, so that they answer as ``servable``; False if that cannot be."""


class Recipe(Protocol):
    """One file in ``recipes``: ``load`` for importing; ``adapt`` where the task can be adapted."""

    def load(self, checkpoint: Path) -> Servable:
        """The checkpoint as it is to be served; raises ``Unsupported`` for an architecture of another task."""

    def adapt(
        self,
        checkpoint: Path,
        base: ModelEntry,
        examples: Sequence[Example],
        *,
        labels: tuple[str, ...],
        asked: Hyperparameters,
    ) -> Adaptation:
        """Body of the checkpoint with a new head for ``labels``, the classes of the data set in its order."""


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
