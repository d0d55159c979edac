"""feature-extraction: a text to one vector, pooled and normalised as the checkpoint's own modules say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import StrictInt

from zoo.catalogue.entry import ModelEntry
from zoo.errors import InvalidInput
from zoo.tasks import ops
from zoo.tasks.processors.prompts import Prompts
from zoo.tasks.processors.text import EncodedText, TextProcessor, real_tokens
from zoo.tasks.task import Array, Parameters, Task


class FeatureExtractionParameters(Parameters):
    """``normalize`` overrules the checkpoint. With ``truncate`` false a text that is too long is refused, not cut; with
    true also one that is far too long is cut. ``prompt_name`` names one of the prompts that the checkpoint has."""

    normalize: bool | None = None
    truncate: bool | None = None
    truncation_direction: Literal["left", "right", "Left", "Right"] | None = None
    dimensions: StrictInt | None = None
    prompt_name: str | None = None
    encoding_format: Literal["float"] | None = None


@dataclass(frozen=True)
class Vectoriser:
    """How token vectors become one: pooling mode, and whether the result has length one."""

    pooling: str
    normalise: bool


class FeatureExtraction(Task):
    """Input: a string. Output: ``width`` floats. The graph answers (batch, tokens, width)."""

    name = "feature-extraction"
    modality = "text"
    embeds = True
    also = ("sentence-similarity",)
    Parameters = FeatureExtractionParameters

    def __init__(self, entry: ModelEntry, folder: Path) -> None:
        self._width = int(entry.limits["width"])
        self._how = Vectoriser(str(entry.options.get("pooling", "mean")), bool(entry.options.get("normalise", False)))
        self._prompts = Prompts.of(entry.options)
        self._text = TextProcessor(
            folder / "tokenizer.json",
            max_tokens=entry.limits["max_tokens"],
            pad_token_id=int(entry.options.get("pad_token_id", 0)),
        )

    @classmethod
    def asked(cls, inputs: object, parameters: Mapping[str, Any]) -> bool:
        """A text or a list of them."""
        return isinstance(inputs[0] if isinstance(inputs, list) and inputs else inputs, str)

    def parameters(self, raw: Any) -> FeatureExtractionParameters:
        """Refuses what the model cannot do rather than ignoring it."""
        parameters: FeatureExtractionParameters = super().parameters(raw)
        self._prompts.check(parameters.prompt_name)
        if parameters.dimensions not in (None, self._width):
            message = f"This model gives {self._width} dimensions and cannot give fewer: leave dimensions out."
            raise InvalidInput(message, param="parameters.dimensions")
        return parameters

    def preprocess(self, item: object, parameters: FeatureExtractionParameters) -> EncodedText:
        side = (parameters.truncation_direction or "right").lower()
        prompt = parameters.prompt_name
        return self._text.encode(item, truncate=parameters.truncate, side=side, prompts=self._prompts, prompt=prompt)

    def collate(self, batch: Sequence[EncodedText]) -> dict[str, Array]:
        return self._text.batch(batch)

    def read(self, outputs: Sequence[Array], batch: Sequence[EncodedText]) -> list[Array]:
        hidden = np.asarray(outputs[0], dtype=np.float32)
        return list(ops.pool(hidden, real_tokens(batch, hidden.shape[1]), self._how.pooling))

    def postprocess(self, row: Array, encoded: EncodedText, parameters: FeatureExtractionParameters) -> list[float]:
        vector = np.asarray(row, dtype=np.float32)
        normalised = self._how.normalise if parameters.normalize is None else parameters.normalize
        values: list[float] = (ops.normalise(vector) if normalised else vector).tolist()
        return values

    def respond(self, results: list[object], many: bool) -> Any:
        """First axis: the texts, also for a single one."""
        return results
