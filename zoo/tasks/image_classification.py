"""image-classification: a picture to labels with scores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field, StrictInt

from zoo.catalogue.entry import ModelEntry
from zoo.tasks import ops
from zoo.tasks.processors.image import SAMPLE, EncodedImage, ImageProcessor, Preprocessing, stacked
from zoo.tasks.task import Array, Parameters, Task


class ImageClassificationParameters(Parameters):
    """``top_k`` labels, highest first (5 unless set); softmax unless ``function_to_apply`` says otherwise."""

    top_k: StrictInt | None = Field(None, ge=1)
    function_to_apply: Literal["softmax", "sigmoid", "none"] | None = None


class ImageClassification(Task):
    """Input: a picture. Output: ``[{"label", "score"}, …]``, highest score first. The graph answers (batch, labels)."""

    name = "image-classification"
    modality = "image"
    batch_cost: ClassVar[int] = 8 * 224 * 224
    window: ClassVar[int] = 2
    sample: ClassVar[object] = SAMPLE
    Parameters = ImageClassificationParameters

    def __init__(self, entry: ModelEntry, folder: Path) -> None:
        self._labels = entry.labels
        self._function = str(entry.options.get("function_to_apply", "softmax"))
        self._pictures = ImageProcessor(Preprocessing.of(entry.options.get("preprocessing")))

    def preprocess(self, item: object, parameters: ImageClassificationParameters) -> EncodedImage:
        return self._pictures.encode(item)

    def alike(self, encoded: EncodedImage) -> tuple[int, ...]:
        return encoded.pixels.shape

    def collate(self, batch: Sequence[EncodedImage]) -> dict[str, Array]:
        return stacked(batch)

    def postprocess(
        self, row: Array, encoded: EncodedImage, parameters: ImageClassificationParameters
    ) -> list[dict[str, object]]:
        logits = np.asarray(row, dtype=np.float32)
        function = parameters.function_to_apply or self._function
        return ops.ranked(self._labels, logits, function=function, top_k=parameters.top_k or 5)
