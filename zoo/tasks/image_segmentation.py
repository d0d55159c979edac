"""image-segmentation: a picture to one mask for each class that is in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, StrictFloat

from zoo.catalogue.entry import ModelEntry
from zoo.errors import InvalidInput
from zoo.tasks.processors import masks
from zoo.tasks.processors.image import SAMPLE, EncodedImage, ImageProcessor, Preprocessing, stacked
from zoo.tasks.task import Array, Parameters, Task


class ImageSegmentationParameters(Parameters):
    """The options of the client packages. These models give every pixel to exactly one class, so the three thresholds,
    which sort out overlapping objects, are checked and change nothing; transformers' pipeline treats them likewise."""

    subtask: Literal["semantic", "instance", "panoptic"] | None = None
    threshold: StrictFloat | None = Field(None, ge=0, le=1)
    mask_threshold: StrictFloat | None = Field(None, ge=0, le=1)
    overlap_mask_area_threshold: StrictFloat | None = Field(None, ge=0, le=1)


class ImageSegmentation(Task):
    """Input: a picture. Output: ``[{"label", "score", "mask"}, …]`` in the order of the model's classes, those present.

    A mask is base64 of a PNG of the picture's own size. The score is the mean probability of the class over its mask.
    A class without a name takes part and is not shown: its pixels are in no mask. The graph answers
    (batch, classes, h, w).
    """

    name = "image-segmentation"
    modality = "image"
    batch_cost = 8 * 224 * 224
    window = 2
    sample = SAMPLE
    Parameters = ImageSegmentationParameters

    def __init__(self, entry: ModelEntry, folder: Path) -> None:
        self._labels = entry.labels
        self._via_input = bool(entry.options.get("via_input", False))
        self._images = ImageProcessor(Preprocessing.of(entry.options["preprocessing"]))

    def parameters(self, raw: Any) -> ImageSegmentationParameters:
        """Refuses what the model cannot do rather than answering something else."""
        parameters: ImageSegmentationParameters = super().parameters(raw)
        if parameters.subtask not in (None, "semantic"):
            message = (
                f"This model cannot do {parameters.subtask} segmentation, which tells objects of one class apart. It "
                'gives one mask for each class: send subtask "semantic", or leave it out.'
            )
            raise InvalidInput(message, code="unsupported_subtask", param="parameters.subtask")
        return parameters

    def preprocess(self, item: object, parameters: ImageSegmentationParameters) -> EncodedImage:
        return self._images.encode(item)

    def alike(self, encoded: EncodedImage) -> tuple[int, ...]:
        return encoded.pixels.shape

    def collate(self, batch: Sequence[EncodedImage]) -> dict[str, Array]:
        return stacked(batch)

    def postprocess(
        self, row: Array, encoded: EncodedImage, parameters: ImageSegmentationParameters
    ) -> list[dict[str, object]]:
        logits = np.asarray(row, dtype=np.float32)
        rows, columns = (
            masks.Axis(
                picture=encoded.size[axis],
                inner=encoded.inner[axis],
                network=encoded.pixels.shape[1 + axis],
                grid=logits.shape[1 + axis],
                via_input=self._via_input,
            ).weights()
            for axis in (0, 1)
        )
        found = masks.segment(logits, rows, columns)
        return [
            {"label": self._labels[place], "score": score, "mask": masks.png(found.classes == place)}
            for place, score in sorted(found.scores.items())
            if self._labels[place]
        ]
