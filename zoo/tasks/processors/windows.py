"""A text of any length, or a question and a text, as windows that a network reads, which overlap; offsets are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from zoo.errors import InvalidInput, TooLarge
from zoo.tasks.processors.text import CHARACTERS_PER_TOKEN, checked, padded, read_tokenizer
from zoo.tasks.task import Array, Bundle

WINDOWS = 64  # of one text at most: 64 of 512 tokens keep BERT-base busy for half a minute on two cores
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Window:
    """What a network reads at once, special tokens included; all arrays are (tokens, …).

    ``offsets`` (tokens, 2) are characters of the text that a token was made of, ``words`` numbers of the words that the
    tokenizer splits it into (-1: none), ``inside`` which tokens are of the text: neither special nor of a question.
    ``start`` is how many tokens of the text stand before the window.
    """

    ids: Ints
    types: Ints
    offsets: Ints
    words: Ints
    inside: NDArray[np.bool_]
    start: int = 0

    @property
    def cost(self) -> int:
        """Tokens."""
        return len(self.ids)

    @property
    def truncated(self) -> bool:
        """Never: what does not fit is in another window."""
        return False

    def part(self, places: Ints, start: int) -> Window:
        """Some tokens, of which those of the text begin with the ``start``-th."""
        ids, types, offsets, words = (column[places] for column in (self.ids, self.types, self.offsets, self.words))
        return Window(ids, types, offsets, words, self.inside[places], start)


@dataclass(frozen=True, eq=False)
class EncodedWindows(Bundle):
    """A text and its windows in order, each a row of its own."""

    rows: tuple[Window, ...]
    text: str

    @property
    def windows(self) -> tuple[Window, ...]:
        """The rows."""
        return self.rows


class WindowProcessor:
    """The tokenizer of one model, for texts longer than the model. Thread-safe once built.

    ``max_tokens`` counts special tokens. Raises ``ArtifactCorrupt`` when ``tokenizer.json`` cannot be read.
    """

    def __init__(self, tokenizer: Path, *, max_tokens: int, pad_token_id: int = 0) -> None:
        self.max_tokens = max_tokens
        self.pad_token_id = pad_token_id
        self.tokenizer: Tokenizer = read_tokenizer(tokenizer)

    @property
    def most_characters(self) -> int:
        """Of a text."""
        return WINDOWS * CHARACTERS_PER_TOKEN * self.max_tokens

    def of_text(self, text: object, *, stride: int | None = None) -> EncodedWindows:
        """Windows that share ``stride`` tokens (a quarter unless set) with the next.

        Raises ``InvalidInput`` for anything but a non-empty string and for a stride that leaves no way forward,
        ``TooLarge`` for a text of more than 64 windows.
        """
        text = checked(text, most=self.most_characters)
        whole = self.tokenizer.encode(text)
        inside = 1 - np.asarray(whole.special_tokens_mask, dtype=np.int64)
        windows = _windows(whole, inside == 1, _Sizes(self.max_tokens, stride, None, "stride"))
        return EncodedWindows(windows, text)

    def of_pair(self, first: str, second: str, *, max_tokens: int, stride: int | None, usual: int) -> EncodedWindows:
        """Windows of ``second``, each behind the whole of ``first`` and together ``max_tokens`` long at most.

        They share ``stride`` tokens; unless that is set ``usual``, or fewer where the first text leaves little room or
        the second is so long that it would take more than 64 windows.
        Both are texts that were ``checked``. Raises as ``of_text`` does; the stride is called ``doc_stride``.
        """
        whole = self.tokenizer.encode(first, second)
        inside = np.asarray([sequence == 1 for sequence in whole.sequence_ids], dtype=np.bool_)
        windows = _windows(whole, inside, _Sizes(max_tokens, stride, usual, "doc_stride"))
        return EncodedWindows(windows, second)

    def beginning(self, text: str, tokens: int) -> str:
        """As much of a text as so many tokens hold."""
        encoding = self.tokenizer.encode(text, add_special_tokens=False)
        return text if len(encoding.ids) <= tokens else text[: encoding.offsets[tokens - 1][1]]

    def batch(self, windows: Sequence[Window]) -> dict[str, Array]:
        """As ``text.padded`` makes it."""
        return padded(windows, self.pad_token_id)


def cut(answers: Array, windows: Sequence[Window]) -> list[Array]:
    """A graph's answers (windows, tokens, …) to padded windows, each as long as its window."""
    return [row[: window.cost] for row, window in zip(answers, windows, strict=True)]


@dataclass(frozen=True)
class _Sizes:
    """Tokens of a window, special ones included, and those shared with the next: as asked, or as usual."""

    max_tokens: int
    stride: int | None
    usual: int | None
    name: str

    def shared(self, room: int) -> int:
        """Of ``room`` tokens of the text in a window."""
        if room < 1:
            raise InvalidInput("The question leaves no room for the text: shorten it.", param="inputs.question")
        if self.stride is None:
            return room // 4 if self.usual is None else min(self.usual, room - 1)
        if self.stride >= room:
            message = f"{self.name} has to be less than {room}, the tokens of the text that a window holds."
            raise InvalidInput(message, param=f"parameters.{self.name}")
        return self.stride


def _windows(whole: Encoding, inside: NDArray[np.bool_], sizes: _Sizes) -> tuple[Window, ...]:
    """Of an encoding with its special tokens, whose tokens ``inside`` the text follow one another."""
    places = np.flatnonzero(inside)
    first, count = (int(places[0]), len(places)) if len(places) else (len(inside), 0)
    room = sizes.max_tokens - (len(inside) - count)
    shared = sizes.shared(room)
    starts = range(0, max(1, count - shared), room - shared)
    if len(starts) > WINDOWS and sizes.stride is None:
        shared = min(shared, room // 4)
        starts = range(0, max(1, count - shared), room - shared)
    if len(starts) > WINDOWS:
        message = f"The text has {count} tokens, which are more than {WINDOWS} windows of {room}: split it into parts."
        raise TooLarge(message, code="input_too_long", param="inputs")
    all_ = Window(
        ids=np.asarray(whole.ids, dtype=np.int64),
        types=np.asarray(whole.type_ids, dtype=np.int64),
        offsets=np.asarray(whole.offsets, dtype=np.int64).reshape(-1, 2),
        words=np.asarray([-1 if word is None else word for word in whole.word_ids], dtype=np.int64),
        inside=inside,
    )
    before, behind = np.arange(first), np.arange(first + count, len(inside))
    found: list[Window] = []
    for start in starts:
        stretch = np.arange(first + start, first + min(start + room, count))
        chosen = np.concatenate([before, stretch, behind])
        found.append(all_.part(chosen, start))
    return tuple(found)
