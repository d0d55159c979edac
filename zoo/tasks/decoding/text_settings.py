"""What a manifest says of a text-to-text model: sizes of its graphs, special tokens, languages, how it searches."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from zoo.tasks.decoding.cached_decoder import cache_names
from zoo.tasks.decoding.generation import Generation, Token


class Direction(BaseModel):
    """What a model that was trained for several tasks is told in front of a text, and how it searches then."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prefix: str = ""
    generation: dict[str, Any] = {}


class TextSettings(BaseModel):
    """``before`` and ``after`` are the special tokens around a text that is read, beside that of its language.

    ``languages``: code -> token. With ``reads_language`` that of the text stands in front of it and a text starts with
    that of the one that is wanted; without it the wanted one stands in front of the text that is read. ``directions``:
    ``en-de`` -> what to do for it. ``source`` and ``target`` are the languages unless a request names others.
    ``merged``: the decoder's graph is ready-made, in optimum's form. ``sentences``: it learnt from single sentences and
    leaves out what follows the first, so that each is written by itself.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    layers: int = Field(ge=1, le=256)
    heads: int = Field(ge=1, le=256)
    width: int = Field(ge=1, le=4096)
    vocabulary: int = Field(ge=2)
    most_tokens: int = Field(ge=2)
    start: Token
    end: Token
    pad: Token = 0
    unknown: Token | None = None
    before: tuple[Token, ...] = ()
    after: tuple[Token, ...] = ()
    languages: dict[str, Token] = {}
    reads_language: bool = False
    source: str | None = None
    target: str | None = None
    directions: dict[str, Direction] = {}
    clean_up: bool = False
    merged: bool = False
    sentences: bool = False
    generation: Generation = Generation()

    @classmethod
    def of(cls, settings: object) -> TextSettings:
        """Raises ``ValueError`` for anything that is not as ``model_dump`` gives it."""
        return cls.model_validate(settings)

    @property
    def pair(self) -> tuple[str, str] | None:
        """The two languages of a model that translates from one to the other and nothing else, if it names them."""
        if self.reads_language or self.languages or self.directions or self.source is None or self.target is None:
            return None
        return self.source, self.target

    @property
    def names(self) -> tuple[str, ...]:
        """Of keys and values, in the graphs' order."""
        return cache_names(self.layers)
