"""Strings to token ids, with the model's own tokenizer and nothing but the ``tokenizers`` library."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from zoo.errors import ArtifactCorrupt, InvalidInput, TooLarge

# A tokenizer reads the whole text before it cuts: 10 MB took 2-15 s and up to 3.5 GB. So the text is bounded first.
CHARACTERS_PER_TOKEN = 16


@dataclass(frozen=True)
class EncodedText:
    """Token ids of one text, special tokens included, and whether the text had to be cut to fit the model."""

    ids: NDArray[np.int64]
    types: NDArray[np.int64]
    truncated: bool

    @property
    def cost(self) -> int:
        """Tokens: what a batch is measured by."""
        return len(self.ids)


class TextProcessor:
    """The tokenizer of one model. Thread-safe once built.

    ``max_tokens`` counts special tokens. Raises ``ArtifactCorrupt`` when ``tokenizer.json`` cannot be read.
    """

    def __init__(self, tokenizer: Path, *, max_tokens: int, pad_token_id: int = 0) -> None:
        self.max_tokens = max_tokens
        self._pad = pad_token_id
        try:
            self._tokenizer = Tokenizer.from_file(str(tokenizer))
        except Exception as error:  # the library raises bare Exception
            raise ArtifactCorrupt("tokenizer.json cannot be read: pull or adapt the model again.") from error
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_tokens)

    @cached_property
    def _cutting_left(self) -> Tokenizer:
        tokenizer = copy.deepcopy(self._tokenizer)
        tokenizer.enable_truncation(self.max_tokens, direction="left")
        return tokenizer

    def encode(self, text: object, *, truncate: bool = True, side: str = "right") -> EncodedText:
        """Token ids of one text.

        Raises ``InvalidInput`` for anything but a non-empty string, ``TooLarge`` for a text of more than 16 characters
        for each token that the model takes, or one that would have to be cut although ``truncate`` is false.
        """
        if not isinstance(text, str):
            raise InvalidInput("inputs has to be a string or a list of strings.", param="inputs")
        limit = CHARACTERS_PER_TOKEN * self.max_tokens
        if len(text) > limit:
            message = f"The text has {len(text)} characters; this model takes at most {limit}. Split it into parts."
            raise TooLarge(message, code="input_too_long", param="inputs")
        if not text.strip():
            raise InvalidInput("The text is empty: send at least one character.", code="invalid_text", param="inputs")
        if any("\ud800" <= character <= "\udfff" for character in text):
            message = "The text holds one half of a surrogate pair, which is no character: send valid Unicode."
            raise InvalidInput(message, code="invalid_text", param="inputs")
        tokenizer = self._cutting_left if side == "left" else self._tokenizer
        encoding = tokenizer.encode(text)
        truncated = bool(encoding.overflowing)
        if truncated and not truncate:
            message = (
                f"The text is longer than the {self.max_tokens} tokens of this model: shorten it or allow truncation."
            )
            raise TooLarge(message, code="input_too_long", param="inputs")
        return EncodedText(
            np.asarray(encoding.ids, dtype=np.int64), np.asarray(encoding.type_ids, dtype=np.int64), truncated
        )

    def batch(self, rows: Sequence[EncodedText]) -> dict[str, NDArray[np.int64]]:
        """``input_ids``, ``attention_mask`` and ``token_type_ids``, each (rows, longest row), padded on the right."""
        shape = (len(rows), max(row.cost for row in rows))
        ids = np.full(shape, self._pad, dtype=np.int64)
        mask = np.zeros(shape, dtype=np.int64)
        types = np.zeros(shape, dtype=np.int64)
        for index, row in enumerate(rows):
            ids[index, : row.cost] = row.ids
            mask[index, : row.cost] = 1
            types[index, : row.cost] = row.types
        return {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
