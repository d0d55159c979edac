"""sentence-similarity: how alike in meaning a text and each of some others are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.catalogue.entry import ModelEntry
from zoo.errors import InvalidInput
from zoo.tasks import ops
from zoo.tasks.processors.prompts import Prompts
from zoo.tasks.processors.text import EncodedText, TextProcessor, real_tokens
from zoo.tasks.task import Array, Bundle, Parameters, Task

SENTENCES = 2048  # that one text is compared with
SOURCE, OTHERS = "source_sentence", "sentences"


class SentenceSimilarityParameters(Parameters):
    """There are none."""


class SentenceSimilarity(Task):
    """Input: ``{"source_sentence", "sentences"}``. Output: the cosine of the source and each sentence, in their order.

    The graph answers (batch, tokens, width); a text's vector is pooled as the checkpoint's own modules say.
    """

    name = "sentence-similarity"
    modality = "text"
    also = ("feature-extraction",)
    sample = {SOURCE: "warm", OTHERS: ["warm"]}
    Parameters = SentenceSimilarityParameters

    def __init__(self, entry: ModelEntry, folder: Path) -> None:
        self._pooling = str(entry.options.get("pooling", "mean"))
        self._prompts = Prompts.of(entry.options)
        self._text = TextProcessor(
            folder / "tokenizer.json",
            max_tokens=entry.limits["max_tokens"],
            pad_token_id=int(entry.options.get("pad_token_id", 0)),
        )

    @classmethod
    def asked(cls, inputs: object, parameters: Mapping[str, Any]) -> bool:
        """An object with one of its two parts, alone or in a list."""
        first = inputs[0] if isinstance(inputs, list) and inputs else inputs
        return isinstance(first, dict) and bool({SOURCE, OTHERS} & first.keys())

    def preprocess(self, item: object, parameters: SentenceSimilarityParameters) -> Bundle:
        if not isinstance(item, dict) or item.keys() != {SOURCE, OTHERS}:
            message = f"Send an object of {SOURCE}, a text, and {OTHERS}, a list of texts."
            raise InvalidInput(message, code="invalid_sentences", param="inputs")
        others = item[OTHERS]
        if not isinstance(others, list) or not others:
            message = f"{OTHERS} has to be a list of at least one text."
            raise InvalidInput(message, code="invalid_sentences", param=f"inputs.{OTHERS}")
        if len(others) > SENTENCES:
            message = f"{OTHERS} has {len(others)} texts; at most {SENTENCES} are compared at once. Send several lists."
            raise InvalidInput(message, code="batch_size", param=f"inputs.{OTHERS}")
        source = self._encode(item[SOURCE], SOURCE)
        return Bundle((source, *(self._encode(text, f"{OTHERS}[{place}]") for place, text in enumerate(others))))

    def _encode(self, text: object, param: str) -> EncodedText:
        return self._text.encode(text, param=f"inputs.{param}", prompts=self._prompts)

    def collate(self, batch: Sequence[EncodedText]) -> dict[str, Array]:
        return self._text.batch(batch)

    def read(self, outputs: Sequence[Array], batch: Sequence[EncodedText]) -> list[Array]:
        hidden = np.asarray(outputs[0], dtype=np.float32)
        return list(ops.pool(hidden, real_tokens(batch, hidden.shape[1]), self._pooling))

    def postprocess(
        self, row: Sequence[Array], encoded: Bundle, parameters: SentenceSimilarityParameters
    ) -> list[float]:
        source, *others = ops.normalise(np.stack(row).astype(np.float32))
        return [float(one @ source) for one in others]
