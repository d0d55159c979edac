"""text-classification: a text, or two texts, to labels with scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, StrictInt

from zoo.catalogue.entry import ModelEntry
from zoo.errors import InvalidInput
from zoo.tasks import ops
from zoo.tasks.processors.text import EncodedText, TextProcessor
from zoo.tasks.task import Array, Parameters, Task

PAIR = {"text", "text_pair"}


class TextClassificationParameters(Parameters):
    """``top_k`` labels, highest first (all unless set); softmax unless ``function_to_apply`` says otherwise."""

    top_k: StrictInt | None = Field(None, ge=1)
    function_to_apply: Literal["softmax", "sigmoid", "none"] | None = None


class TextClassification(Task):
    """Input: a string, or ``{"text", "text_pair"}`` for two that are read together.

    Output: ``[{"label", "score"}, …]``, highest score first. The graph answers (batch, labels). What becomes of its
    numbers unless a request says otherwise is the version's ``function_to_apply``: ``softmax`` where one of the labels
    applies, ``sigmoid`` where several may, ``none`` where a number is itself the answer (regression).
    """

    name = "text-classification"
    modality = "text"
    also = ("zero-shot-classification",)
    Parameters = TextClassificationParameters

    def __init__(self, entry: ModelEntry, folder: Path) -> None:
        self._labels = entry.labels
        self._function = str(entry.options.get("function_to_apply", "softmax"))
        self._text = TextProcessor(
            folder / "tokenizer.json",
            max_tokens=entry.limits["max_tokens"],
            pad_token_id=int(entry.options.get("pad_token_id", 0)),
        )

    @classmethod
    def asked(cls, inputs: object, parameters: Mapping[str, Any]) -> bool:
        """Two texts, alone or in a list, that nothing is to be chosen for."""
        first = inputs[0] if isinstance(inputs, list) and inputs else inputs
        return isinstance(first, dict) and bool(PAIR & first.keys()) and "candidate_labels" not in parameters

    def preprocess(self, item: object, parameters: TextClassificationParameters) -> EncodedText:
        if not isinstance(item, dict):
            return self._text.encode(item)
        if not {"text"} <= item.keys() <= PAIR:
            message = "inputs has to be a string, or an object of text and text_pair and nothing else."
            raise InvalidInput(message, param="inputs")
        if item.get("text_pair") is None:
            return self._text.encode(item["text"])
        return self._text.encode_pair(item["text"], item["text_pair"])

    def collate(self, batch: Sequence[EncodedText]) -> dict[str, Array]:
        return self._text.batch(batch)

    def postprocess(
        self, row: Array, encoded: EncodedText, parameters: TextClassificationParameters
    ) -> list[dict[str, object]]:
        logits = np.asarray(row, dtype=np.float32)
        function = parameters.function_to_apply or self._function
        return ops.ranked(self._labels, logits, function=function, top_k=parameters.top_k)

    def respond(self, results: list[object], many: bool) -> Any:
        """Always a list of answers: the Hugging Face client takes element 0 for a single text."""
        return results
