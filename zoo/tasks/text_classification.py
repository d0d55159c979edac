"""text-classification: a text to labels with scores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from zoo.catalogue.entry import ModelEntry
from zoo.tasks import ops
from zoo.tasks.processors.text import EncodedText, TextProcessor
from zoo.tasks.task import Array, Parameters, Run, Task


class TextClassificationParameters(Parameters):
    """``top_k`` labels, highest first (all unless set); softmax unless ``function_to_apply`` says otherwise."""

    top_k: int | None = Field(None, ge=1)
    function_to_apply: Literal["softmax", "sigmoid", "none"] | None = None


class TextClassification(Task):
    """Input: a string. Output: ``[{"label", "score"}, …]``, highest score first. The graph answers (batch, labels)."""

    name = "text-classification"
    modality = "text"
    Parameters = TextClassificationParameters

    def __init__(self, entry: ModelEntry, folder: Path) -> None:
        self._labels = entry.labels
        self._function = str(entry.options.get("function_to_apply", "softmax"))
        self._text = TextProcessor(
            folder / "tokenizer.json",
            max_tokens=entry.limits["max_tokens"],
            pad_token_id=int(entry.options.get("pad_token_id", 0)),
        )

    def preprocess(self, item: object, parameters: TextClassificationParameters) -> EncodedText:
        return self._text.encode(item)

    def run(self, batch: Sequence[EncodedText], run: Run) -> list[Array]:
        (logits,) = run(self._text.batch(batch))
        return list(logits)

    def postprocess(
        self, row: Array, encoded: EncodedText, parameters: TextClassificationParameters
    ) -> list[dict[str, object]]:
        logits = np.asarray(row, dtype=np.float32)
        function = parameters.function_to_apply or self._function
        return ops.ranked(self._labels, logits, function=function, top_k=parameters.top_k)

    def respond(self, results: list[object], many: bool) -> Any:
        """Always a list of answers: the Hugging Face client takes element 0 for a single text."""
        return results
