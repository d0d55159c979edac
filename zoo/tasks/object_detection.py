"""object-detection: a picture to boxes with labels and scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field, StrictFloat

from zoo.catalogue.entry import ModelEntry
from zoo.errors import ArtifactCorrupt
from zoo.tasks.processors import boxes
from zoo.tasks.processors.image import SAMPLE, EncodedImage, ImageProcessor, Preprocessing, stacked
from zoo.tasks.task import Array, Parameters, Task

Floats = boxes.Floats


class ObjectDetectionParameters(Parameters):
    """Objects with a score above ``threshold`` are answered."""

    threshold: StrictFloat = Field(0.5, ge=0, le=1)


class ObjectDetection(Task):
    """Input: a picture. Output: ``[{"label", "score", "box"}, …]``, highest score first.

    Those of DETR and YOLOS come in the order of their queries, as from transformers' pipeline.
    ``box`` has xmin, ymin, xmax and ymax in whole pixels of the picture that was sent, turned upright. The graph
    answers class logits (batch, positions, classes) and boxes (batch, positions, 4); a row has both side by side, as
    has the single output of a dense head. ``detector`` among the options says how to read them: ``detr`` (DETR,
    YOLOS), ``rt_detr`` or ``dense``.
    """

    name = "object-detection"
    modality = "image"
    batch_cost = 8 * 224 * 224
    window = 2
    sample = SAMPLE
    Parameters = ObjectDetectionParameters

    def __init__(self, entry: ModelEntry, folder: Path) -> None:
        self._labels = entry.labels
        self._images = ImageProcessor(Preprocessing.of(entry.options["preprocessing"]))
        reader = _READERS.get(str(entry.options.get("detector")))
        if reader is None:
            raise ArtifactCorrupt(f"{entry.reference} does not say how its boxes are to be read.")
        self._read = reader

    def parameters(self, raw: Mapping[str, Any]) -> ObjectDetectionParameters:
        """An option sent as null counts as left out."""
        sent = {name: value for name, value in raw.items() if value is not None}
        found: ObjectDetectionParameters = super().parameters(sent)
        return found

    def preprocess(self, item: object, parameters: ObjectDetectionParameters) -> EncodedImage:
        return self._images.encode(item)

    def alike(self, encoded: EncodedImage) -> tuple[int, ...]:
        return encoded.pixels.shape

    def collate(self, batch: Sequence[EncodedImage]) -> dict[str, Array]:
        return stacked(batch)

    def read(self, outputs: Sequence[Array], batch: Sequence[EncodedImage]) -> list[Array]:
        return list(np.concatenate(outputs, axis=-1))

    def postprocess(
        self, row: Array, encoded: EncodedImage, parameters: ObjectDetectionParameters
    ) -> list[dict[str, object]]:
        found = self._read(np.asarray(row, dtype=np.float32), encoded, parameters.threshold)
        return [
            {
                "label": self._labels[place],
                "score": float(score),
                "box": dict(zip(("xmin", "ymin", "xmax", "ymax"), map(int, box), strict=True)),
            }
            for place, score, box in zip(found.classes, found.scores, found.boxes, strict=True)
        ]


def _detr(row: Floats, encoded: EncodedImage, threshold: float) -> boxes.Detections:
    height, width = encoded.size
    return boxes.read_set(row, threshold).scaled(width, height)


def _rt_detr(row: Floats, encoded: EncodedImage, threshold: float) -> boxes.Detections:
    height, width = encoded.size
    return boxes.read_ranked(row, threshold).scaled(width, height)


def _dense(row: Floats, encoded: EncodedImage, threshold: float) -> boxes.Detections:
    (height, width), inner = encoded.size, encoded.inner
    found = boxes.read_dense(row, threshold).scaled(width / inner[1], height / inner[0])
    return found.clipped(height, width)


_READERS: dict[str, Callable[[Floats, EncodedImage, float], boxes.Detections]] = {
    "detr": _detr,
    "rt_detr": _rt_detr,
    "dense": _dense,
}
