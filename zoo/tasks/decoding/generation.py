"""How a text is searched for: what a checkpoint's ``generation_config.json`` says, and what a request says instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictFloat, StrictInt

from zoo.tasks.decoding.beam import Beams

Token = StrictInt
MOST_BEAMS = 16
MOST_WORDS = 1000


class Generation(BaseModel):
    """transformers' names and meanings; lengths count the token that a text starts with, unless they are of new tokens.

    Without any length a text may be as long as the model can write. Of equal wishes texts are written together.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    num_beams: StrictInt = Field(1, ge=1, le=MOST_BEAMS)
    length_penalty: StrictFloat = Field(1.0, ge=-10.0, le=10.0)
    early_stopping: bool | Literal["never"] = False
    max_length: StrictInt | None = Field(None, ge=2)
    max_new_tokens: StrictInt | None = Field(None, ge=1)
    min_length: StrictInt = Field(0, ge=0)
    min_new_tokens: StrictInt | None = Field(None, ge=0)
    no_repeat_ngram_size: StrictInt = Field(0, ge=0, le=100)
    repetition_penalty: StrictFloat = Field(1.0, gt=0.0, le=10.0)
    bad_words_ids: tuple[tuple[Token, ...], ...] = Field((), max_length=MOST_WORDS)
    forced_bos_token_id: Token | None = Field(None, ge=0)
    forced_eos_token_id: Token | None = Field(None, ge=0)
    suppress_tokens: tuple[Token, ...] = Field((), max_length=MOST_WORDS)
    begin_suppress_tokens: tuple[Token, ...] = Field((), max_length=MOST_WORDS)
    renormalize_logits: bool = False

    def but(self, changes: Mapping[str, Any]) -> Generation:
        """With other values of some fields; a length that is given takes the place of the other way to say it."""
        given = dict(changes)
        for one, other in (("max_length", "max_new_tokens"), ("min_length", "min_new_tokens")):
            for name, instead in ((one, other), (other, one)):
                if name in given and instead not in given:
                    given[instead] = 0 if instead == "min_length" else None
        return self.model_validate({**self.model_dump(), **given})

    @property
    def beams(self) -> Beams:
        """How wide the search is."""
        return Beams(self.num_beams, self.length_penalty, self.early_stopping)

    def most(self, places: int) -> int:
        """The most tokens that are written, of at most ``places`` with the one that starts the text."""
        wished = self.max_new_tokens or ((self.max_length or places) - 1)
        return max(1, min(wished, places - 1))

    @property
    def least(self) -> int:
        """Tokens before which a text does not end."""
        return self.min_new_tokens if self.min_new_tokens is not None else max(0, self.min_length - 1)
