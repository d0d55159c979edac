"""Strings to token ids, with the model's own tokenizer and nothing but the ``tokenizers`` library."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal, Protocol
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from zoo.errors import ArtifactCorrupt, InvalidInput, TooLarge
from zoo.tasks.processors.prompts import Prompts
from zoo.tasks.processors.tokenizer_file import open_tokenizer
from zoo.tasks.task import Array

# A tokenizer reads the whole text before it cuts: 10 MB took 2-15 s and up to 3.5 GB. So the text is bounded first.
CHARACTERS_PER_TOKEN = 16
# By what is in the file and how it is set up; an entry lives for as long as a model has its tokenizer.
_SHARED: WeakValueDictionary[tuple[str, int | None, tuple[str, ...]], Tokenizer] = WeakValueDictionary()
NONE = Prompts()
Cut = Literal["longest_first", "only_first"]
"""Which of two texts loses its end where both together are too long."""


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


class Tokens(Protocol):
    """A row of a batch: ids and types (tokens,), as many as ``cost``."""

    @property
    def ids(self) -> NDArray[np.int64]: ...

    @property
    def types(self) -> NDArray[np.int64]: ...

    @property
    def cost(self) -> int: ...


class TextProcessor:
    """The tokenizer of one model. Thread-safe once built.

    ``max_tokens`` counts special tokens. ``special_tokens`` are whole in a text and left out of decoded ones, also
    where the tokenizer's own file does not say so. Raises ``ArtifactCorrupt`` when that file cannot be read.
    """

    def __init__(
        self, tokenizer: Path, *, max_tokens: int, pad_token_id: int = 0, special_tokens: Sequence[str] = ()
    ) -> None:
        self.max_tokens = max_tokens
        self._pad = pad_token_id
        self._tokenizer = read_tokenizer(tokenizer, max_tokens=max_tokens, special_tokens=special_tokens)

    @cached_property
    def _cutting_left(self) -> Tokenizer:
        tokenizer = copy.deepcopy(self._tokenizer)
        tokenizer.enable_truncation(self.max_tokens, direction="left")
        return tokenizer

    def encode(
        self,
        text: object,
        *,
        truncate: bool | None = None,
        side: str = "right",
        param: str = "inputs",
        prompts: Prompts = NONE,
        prompt: str | None = None,
    ) -> EncodedText:
        """Token ids of one text; ``param`` is what errors call it, ``prompt`` the name of one of the ``prompts``.

        Raises ``InvalidInput`` for anything but a non-empty string, ``TooLarge`` for a text that would have to be cut
        although ``truncate`` is false, or one of more than 16 characters for each token that the model takes, unless it
        is true: whoever asks for that gets what is at one ``side`` of any text.
        """
        most = CHARACTERS_PER_TOKEN * self.max_tokens
        if truncate and isinstance(text, str) and len(text) > most:
            part = text[-most:] if side == "left" else text[:most]
            encoded = self.encode(part, side=side, param=param, prompts=prompts, prompt=prompt)
            return replace(encoded, truncated=True)
        text = checked(text, most=most, param=param)
        tokenizer = self._cutting_left if side == "left" else self._tokenizer
        encoded = _encoded(tokenizer.encode(prompts.written(text, prompt)))
        if encoded.truncated and truncate is False:
            message = (
                f"The text is longer than the {self.max_tokens} tokens of this model: shorten it or allow truncation."
            )
            raise TooLarge(message, code="input_too_long", param=param)
        return encoded

    @cached_property
    def _cutting_first(self) -> Tokenizer:
        tokenizer = copy.deepcopy(self._tokenizer)
        tokenizer.enable_truncation(self.max_tokens, strategy="only_first")
        return tokenizer

    def encode_pair(
        self,
        first: object,
        second: object,
        *,
        cut: Cut = "longest_first",
        params: tuple[str, str] = ("inputs.text", "inputs.text_pair"),
    ) -> EncodedText:
        """Token ids of two texts behind one another, cut as transformers cuts them.

        ``params`` are what errors call the two. Raises as ``encode`` does, and ``TooLarge`` where the first text may be
        cut alone and the second leaves no room.
        """
        most = CHARACTERS_PER_TOKEN * self.max_tokens
        one = checked(first, most=most, param=params[0])
        other = checked(second, most=most, name="The second text", param=params[1])
        tokenizer = self._cutting_first if cut == "only_first" else self._tokenizer
        try:
            encoding = tokenizer.encode(one, other)
        except Exception as error:  # the library raises bare Exception
            message = f"The second text leaves no room for the first in the {self.max_tokens} tokens of this model."
            raise TooLarge(message, code="input_too_long", param=params[1]) from error
        return _encoded(encoding)

    def token_id(self, token: str) -> int:
        """The id of a token; raises ``ArtifactCorrupt`` where the tokenizer has no such."""
        found = self._tokenizer.token_to_id(token)
        if found is None:
            raise ArtifactCorrupt("tokenizer.json lacks a token that the model needs: pull or adapt the model again.")
        return int(found)

    def first_piece(self, word: str) -> int | None:
        """The id of a word that is a token, else of the first token it is made of; None if there is none."""
        found = self._tokenizer.token_to_id(word)
        if found is None:
            found = next(iter(self._tokenizer.encode(word, add_special_tokens=False).ids), None)
        return None if found is None else int(found)

    def decode(self, ids: Sequence[int], *, skip_special: bool) -> str:
        """Text from token ids."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=skip_special))

    def batch(self, rows: Sequence[EncodedText]) -> dict[str, Array]:
        """As ``padded`` makes it."""
        return padded(rows, self._pad)


def _encoded(encoding: Encoding) -> EncodedText:
    ids, types = (np.asarray(values, dtype=np.int64) for values in (encoding.ids, encoding.type_ids))
    return EncodedText(ids, types, truncated=bool(encoding.overflowing))


def read_tokenizer(path: Path, *, max_tokens: int | None = None, special_tokens: Sequence[str] = ()) -> Tokenizer:
    """A tokenizer that does not pad, and cuts at ``max_tokens`` if that is set; not to be changed by anyone.

    Versions whose files are the same share it: one of 30,000 tokens takes 7 MB. Raises ``ArtifactCorrupt`` when the
    file cannot be read.
    """
    try:
        key = hashlib.sha256(path.read_bytes()).hexdigest(), max_tokens, tuple(special_tokens)
        found = _SHARED.get(key)
        if found is not None:
            return found
        tokenizer = open_tokenizer(path)
    except (OSError, ValueError) as error:
        raise ArtifactCorrupt("tokenizer.json cannot be read: pull or adapt the model again.") from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    known = {token.content for token in tokenizer.get_added_tokens_decoder().values()}
    tokenizer.add_special_tokens([token for token in special_tokens if token not in known])
    if max_tokens is not None:
        tokenizer.enable_truncation(max_tokens)
    return _SHARED.setdefault(key, tokenizer)


def beginning(text: str, *, max_tokens: int) -> str:
    """As much of a text as a request may hold: what training reads of it, and what its model is judged by."""
    return text[: CHARACTERS_PER_TOKEN * max_tokens]


def checked(text: object, *, most: int, name: str = "The text", param: str = "inputs") -> str:
    """The text if it can be read; raises ``InvalidInput``, and ``TooLarge`` beyond ``most`` characters."""
    if not isinstance(text, str):
        lists = " or a list of strings" if param == "inputs" else ""
        raise InvalidInput(f"{param} has to be a string{lists}.", param=param)
    if len(text) > most:
        message = f"{name} has {len(text)} characters; this model takes at most {most}. Split it into parts."
        raise TooLarge(message, code="input_too_long", param=param)
    if not text.strip():
        raise InvalidInput(f"{name} is empty: send at least one character.", code="invalid_text", param=param)
    try:
        text.encode()
    except UnicodeEncodeError:
        message = f"{name} holds one half of a surrogate pair, which is no character: send valid Unicode."
        raise InvalidInput(message, code="invalid_text", param=param) from None
    return text


def real_tokens(rows: Sequence[Tokens], length: int) -> NDArray[np.int64]:
    """(rows, length): 1 where ``padded`` has tokens of a row."""
    lengths = np.array([row.cost for row in rows])
    return (np.arange(length) < lengths[:, None]).astype(np.int64)


def padded(rows: Sequence[Tokens], pad: int) -> dict[str, Array]:
    """``input_ids``, ``attention_mask`` and ``token_type_ids``, each (rows, longest row), padded on the right."""
    shape = (len(rows), max(row.cost for row in rows))
    ids = np.full(shape, pad, dtype=np.int64)
    mask = np.zeros(shape, dtype=np.int64)
    types = np.zeros(shape, dtype=np.int64)
    for index, row in enumerate(rows):
        ids[index, : row.cost] = row.ids
        mask[index, : row.cost] = 1
        types[index, : row.cost] = row.types
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
