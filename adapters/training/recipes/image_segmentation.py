"""image-segmentation: imports semantic segmenters; adapts a convolutional body under a U-Net decoder, and SegFormer."""

from __future__ import annotations

import random
import statistics
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import ModelProto
from torch import Tensor, nn

from adapters.datasets import Example
from adapters.datasets.pictures import open_mask
from adapters.jobs import Hyperparameters
from adapters.training.judging import compare_rows, judge_rows
from adapters.training.layouts.hub_segmenter import read_hub_segmenter
from adapters.training.layouts.segmenter import ARCHITECTURE, is_own_segmenter, read_own_segmenter
from adapters.training.pictures.body import INPUT, example_pictures
from adapters.training.recipe import Batch, Item, Servable
from adapters.training.segmentation.loss import segmentation_loss
from adapters.training.segmentation.network import Network, network_for
from adapters.training.segmentation.scores import confusion, segmentation_scores
from adapters.training.segmentation.targets import Frame, MaskTarget, own_classes, served_map, shares
from adapters.training.segmentation.views import IGNORED, View
from zoo.catalogue.entry import ModelEntry
from zoo.errors import InvalidDataset
from zoo.tasks.processors.image import Preprocessing, open_picture, prepare

MULTIPLE = 32  # of the input's sides: so deep do the bodies halve
LEAST_SIDE, MOST_SIDE = 192, 320  # of the longer one
LOOKED_AT = 200  # pictures whose sizes are looked at
TIES = 0.001  # share of pixels that may differ between two resizes: those where two logits are equal to six digits


class SegmentationAdaptation:
    """A segmenter and the classes of one data set; see ``recipe.Adaptation``.

    ``names`` are the classes by the values in the masks; a value without a name is left out of loss and figures.
    """

    headline = ("mean_iou", "pixel_accuracy")
    probes = False
    knows = False
    judge = judge_rows
    compare = compare_rows
    max_tokens = None
    readout = None

    def __init__(self, made: Network, names: Sequence[str]) -> None:
        named = [value for value, name in enumerate(names) if name]
        self.labels = tuple(names[value] for value in named)
        self._channels = np.full(256, IGNORED, dtype=np.uint8)
        self._channels[named] = np.arange(len(named), dtype=np.uint8)
        self._made = made
        self.preprocessing = made.preprocessing
        self.body, self.head = made.body, made.head
        self.network = made.whole.eval()
        self.taps = made.taps
        self.defaults = made.defaults

    def steps(self) -> Sequence[nn.Module]:
        parts = self._made.parts()
        return [parts[place] for place in self._made.steps]

    def encode(self, examples: Sequence[Example], *, views: int = 1) -> list[Item]:
        return [self._item(example, number) for example in examples for number in range(views)]

    def collate(self, items: Sequence[Item], *, entered: bool = False) -> Batch:
        if entered:
            return {INPUT: torch.zeros(len(items), 3, MULTIPLE, MULTIPLE)}
        return {INPUT: torch.stack([item.read()[INPUT] for item in items])}

    def features(self, batch: Batch) -> Tensor:
        deepest: Tensor = self.body.maps(batch[INPUT])[-1]  # type: ignore[operator]
        return deepest.mean(dim=(2, 3))

    def fit_head(self, head: nn.Module, features: Tensor, targets: Sequence[Any], *, views: int) -> None:
        """There is no probe."""
        raise NotImplementedError

    def loss(self, outputs: Tensor, targets: Sequence[MaskTarget]) -> Tensor:
        grid = (outputs.shape[2], outputs.shape[3])
        return segmentation_loss(outputs, shares(targets, len(self.labels), grid))

    def metrics(self, outputs: Tensor, targets: Sequence[MaskTarget]) -> dict[str, Any]:
        """At each picture's own size, with its mask as it was sent."""
        counts = np.zeros((len(self.labels), len(self.labels)), dtype=np.int64)
        for row, target in zip(outputs, targets, strict=True):
            predicted = own_classes(row.float(), target.frame)
            counts += confusion(predicted, target.own(), len(self.labels))
        return segmentation_scores(counts, self.labels, rows=len(targets))

    def agrees(self, output: Tensor, body: Any, example: Example) -> bool:
        frame = Frame.of(self._own(example).shape, self.preprocessing)
        expected = own_classes(output.float(), frame)
        served = served_map(body, self.labels, frame.size)
        return served is not None and float((served != expected).mean()) <= TIES

    def request(self, example: Example) -> object:
        return example.read("image")

    def servable(self) -> Servable:
        return _servable(self.network, self.labels, self.preprocessing, architecture=self._made.architecture)

    def extend(self, graphs: Mapping[str, ModelProto]) -> bool:
        return False

    def _item(self, example: Example, number: int) -> Item:
        mask = self._own(example)
        view = _view(example, number, mask)
        frame = Frame.of((mask.shape[0], mask.shape[1]), self.preprocessing)
        seen = mask if view is None else view.of_mask(mask)
        return Item(
            length=max(1, frame.network[0] * frame.network[1] // 784),  # 64 for 224 x 224
            target=MaskTarget.made(seen, frame, partial(self._own, example)),
            load=partial(self._load, example, view),
        )

    def _own(self, example: Example) -> NDArray[np.uint8]:
        return self._channels[open_mask(example.read("mask"))]

    def _load(self, example: Example, view: View | None) -> Batch:
        picture = open_picture(example.read("image"))
        seen = picture if view is None else view.of_picture(picture)
        return {INPUT: torch.from_numpy(prepare(seen, self.preprocessing).pixels)}


def load(checkpoint: Path) -> Servable:
    """A SegFormer or UperNet of transformers, or a segmenter in this project's own layout."""
    if is_own_segmenter(checkpoint):
        own = read_own_segmenter(checkpoint)
        return _servable(own.network, own.labels, own.preprocessing, architecture=ARCHITECTURE)
    hub = read_hub_segmenter(checkpoint)
    return _servable(hub.module, hub.labels, hub.preprocessing, architecture=hub.architecture, via_input=hub.via_input)


def adapt(
    checkpoint: Path, base: ModelEntry, examples: Sequence[Example], *, labels: tuple[str, ...], asked: Hyperparameters
) -> SegmentationAdaptation:
    """A body with maps under a new decoder, one of our segmenters or a SegFormer with a new last layer.

    ``labels`` are the classes by the masks' values, empty where a value is to be ignored. Raises ``Unsupported``
    (``not_adaptable``) for other models, ``InvalidDataset`` for fewer than two classes.
    """
    names = [name or "" for name in labels]
    if sum(1 for name in names if name) < 2:
        message = "classes.json names fewer than two values to tell apart: name the background too."
        raise InvalidDataset(message, param="training_file")
    made = network_for(checkpoint, [name for name in names if name], _rectangle(examples))
    return SegmentationAdaptation(made, names)


def _servable(
    module: nn.Module, labels: tuple[str, ...], how: Preprocessing, *, architecture: str, via_input: bool = False
) -> Servable:
    assert how.fixed is not None
    return Servable(
        module=module,
        inputs=(INPUT,),
        outputs=("logits",),
        example=example_pictures,
        sizes=(how.fixed,) * 3,  # one, two and five pictures
        axes={0: "batch"},
        architecture=architecture,
        labels=labels,
        limits={"height": how.fixed[0], "width": how.fixed[1]},
        options={"preprocessing": how.as_dict(), "via_input": via_input},
    )


def _rectangle(examples: Sequence[Example]) -> tuple[int, int]:
    """(height, width) of the input: of the pictures' usual proportions, and no larger than they are or a CPU can do."""
    some = examples[:: max(1, len(examples) // LOOKED_AT)]
    sizes = [open_mask(example.read("mask")).shape for example in some]
    longest = min(MOST_SIDE, max(LEAST_SIDE, statistics.median(max(size) for size in sizes)))
    proportion = statistics.median(size[1] / size[0] for size in sizes)
    height, width = longest / max(1.0, proportion), longest * min(1.0, proportion)
    return _rounded(height), _rounded(width)


def _rounded(side: float) -> int:
    return max(2, round(side / MULTIPLE)) * MULTIPLE


def _view(example: Example, number: int, mask: NDArray[np.uint8]) -> View | None:
    """None for the first, which is the picture as it is served."""
    if number == 0:
        return None
    return View.drawn((mask.shape[0], mask.shape[1]), random.Random(example.row * 1000 + number))
