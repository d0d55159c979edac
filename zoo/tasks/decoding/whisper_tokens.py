"""Whisper's special tokens, sizes and search, as a version's manifest holds them."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from zoo.tasks.decoding.cached_decoder import Ids, cache_names

Token = int


class WhisperTokens(BaseModel):
    """Ids of special tokens, and sizes of the network. Ids below ``end`` are text, from ``first_time`` on times.

    ``beams`` texts are written side by side unless a request says how many.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    bins: int = Field(ge=1, le=512)
    places: int = Field(ge=1, le=100_000)
    layers: int = Field(ge=1, le=256)
    heads: int = Field(ge=1, le=256)
    width: int = Field(ge=1, le=4096)
    most_tokens: int = Field(ge=8)
    start: Token
    end: Token
    no_times: Token
    no_speech: Token | None = None
    previous: Token | None = None
    transcribe: Token | None = None
    translate: Token | None = None
    languages: dict[str, Token] = {}
    multilingual: bool = False
    suppressed: tuple[Token, ...] = ()
    suppressed_first: tuple[Token, ...] = ()
    beams: int = Field(1, ge=1, le=10)

    @classmethod
    def of(cls, settings: object) -> WhisperTokens:
        """Raises ``ValueError`` for anything that is not as ``model_dump`` gives it."""
        return cls.model_validate(settings)

    @property
    def first_time(self) -> Token:
        """0.00 s; each later token is 20 ms later."""
        return self.no_times + 1

    @property
    def names(self) -> tuple[str, ...]:
        """Of keys and values, in the graphs' order."""
        return cache_names(self.layers)

    @cached_property
    def never(self) -> Ids:
        """Tokens that are never written: the special ones but for the end and times too."""
        special = {self.start, self.no_speech, self.previous, self.transcribe, self.translate, self.no_times}
        given = {token for token in special if token is not None} | set(self.languages.values())
        return np.array(sorted(given | set(self.suppressed)), dtype=np.int64)
