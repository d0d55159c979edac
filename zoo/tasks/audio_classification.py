"""audio-classification: a sound to labels with scores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field, StrictInt

from zoo.catalogue.entry import ModelEntry
from zoo.tasks import ops
from zoo.tasks.processors.hearing import EncodedSound, Hearing, padded
from zoo.tasks.processors.sound import SAMPLE
from zoo.tasks.task import Array, Parameters, Task


class AudioClassificationParameters(Parameters):
    """``top_k`` labels, highest first (5 unless set); softmax unless ``function_to_apply`` says otherwise."""

    top_k: StrictInt | None = Field(None, ge=1)
    function_to_apply: Literal["softmax", "sigmoid", "none"] | None = None


class AudioClassification(Task):
    """Input: a sound. Output: ``[{"label", "score"}, …]``, highest score first.

    The graph answers (batch, labels). It takes ``sound`` (batch, time, …) and, where the manifest says ``masked``,
    ``heard`` (batch, time), 1 where a clip is and 0 where it is padded to the longest of its batch; else clips of one
    length share a run, since padding would change their answers.
    """

    name = "audio-classification"
    modality = "audio"
    batch_cost: ClassVar[int] = 1500  # vectors: one clip of 30 s, or 30 of a second
    sample: ClassVar[object] = SAMPLE
    Parameters = AudioClassificationParameters

    def __init__(self, entry: ModelEntry, folder: Path) -> None:
        self._labels = entry.labels
        self._function = str(entry.options.get("function_to_apply", "softmax"))
        self._masked = bool(entry.options.get("masked", False))
        self._hearing = Hearing.of(entry.options.get("hearing"))

    def preprocess(self, item: object, parameters: AudioClassificationParameters) -> EncodedSound:
        return self._hearing.encode(item)

    def alike(self, encoded: EncodedSound) -> object:
        """Their length, for a network that does not know which part of a row is sound."""
        return None if self._masked else len(encoded.values)

    def collate(self, batch: Sequence[EncodedSound]) -> dict[str, Array]:
        sound, heard = padded([item.values for item in batch])
        return {"sound": sound, "heard": heard} if self._masked else {"sound": sound}

    def postprocess(
        self, row: Array, encoded: EncodedSound, parameters: AudioClassificationParameters
    ) -> list[dict[str, object]]:
        logits = np.asarray(row, dtype=np.float32)
        function = parameters.function_to_apply or self._function
        return ops.ranked(self._labels, logits, function=function, top_k=parameters.top_k or 5)
