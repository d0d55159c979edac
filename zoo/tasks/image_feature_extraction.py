"""image-feature-extraction: a picture to one vector, as the model's body pools it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from zoo.catalogue.entry import ModelEntry
from zoo.tasks import ops
from zoo.tasks.processors.image import SAMPLE, EncodedImage, ImageProcessor, Preprocessing, stacked
from zoo.tasks.task import Array, Parameters, Task


class ImageFeatureExtractionParameters(Parameters):
    """``normalize``: vectors of length one; unless set, as the model's manifest says."""

    normalize: bool | None = None


class ImageFeatureExtraction(Task):
    """Input: a picture. Output: ``width`` floats, a list of them for a list. The graph answers (batch, width)."""

    name = "image-feature-extraction"
    modality = "image"
    batch_cost: ClassVar[int] = 8 * 224 * 224
    window: ClassVar[int] = 2
    sample: ClassVar[object] = SAMPLE
    Parameters = ImageFeatureExtractionParameters

    def __init__(self, entry: ModelEntry, folder: Path) -> None:
        self._normalise = bool(entry.options.get("normalise", False))
        self._pictures = ImageProcessor(Preprocessing.of(entry.options.get("preprocessing")))

    def preprocess(self, item: object, parameters: ImageFeatureExtractionParameters) -> EncodedImage:
        return self._pictures.encode(item)

    def alike(self, encoded: EncodedImage) -> tuple[int, ...]:
        return encoded.pixels.shape

    def collate(self, batch: Sequence[EncodedImage]) -> dict[str, Array]:
        return stacked(batch)

    def postprocess(
        self, row: Array, encoded: EncodedImage, parameters: ImageFeatureExtractionParameters
    ) -> list[float]:
        vector = np.asarray(row, dtype=np.float32)
        normalised = self._normalise if parameters.normalize is None else parameters.normalize
        return [float(value) for value in (ops.normalise(vector) if normalised else vector)]
