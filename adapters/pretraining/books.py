"""English books, cut into passages whose whole words are known by their places."""

from __future__ import annotations

import lzma
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

Book = list[str]  # paragraphs
APART = 16  # of so many books one is held out for the test, one for validation
SHORTEST = 8  # tokens of a passage, its two ends not counted
# Letters that no other letter, figure, apostrophe or hyphen touches: "don't" holds no such word.
_WORD = re.compile(r"(?<![\w'’-])[^\W\d_]+(?![\w'’-])")
_ENDS = frozenset(".!?")
_BEHIND = frozenset("\"'”’)")  # belong to the sentence that they follow


@dataclass(frozen=True, eq=False)
class Passage:
    """``ids``: (tokens,), both ends included. ``words``: places of the tokens that are whole words by themselves."""

    ids: NDArray[np.int32]
    words: NDArray[np.int32]


@dataclass(frozen=True)
class Library:
    """Books by what they are for; no book is in two of them."""

    train: list[Book]
    validation: list[Book]
    test: list[Book]

    @classmethod
    def read(cls, path: Path) -> Library:
        """An xz file with a paragraph a line and an empty line between books."""
        lines = lzma.decompress(path.read_bytes()).decode("utf-8").split("\n")
        return cls.of(list(_books(lines)))

    @classmethod
    def of(cls, books: Sequence[Book]) -> Library:
        """The first of ``APART`` books is for the test, the middle one for validation, and so on."""
        parts: tuple[list[Book], ...] = ([], [], [])
        for place, book in enumerate(books):
            parts[{0: 2, APART // 2: 1}.get(place % APART, 0)].append(book)
        return cls(*parts)


def _books(lines: Iterable[str]) -> Iterator[Book]:
    book: Book = []
    for line in lines:
        if line.strip():
            book.append(line)
        elif book:
            yield book
            book = []
    if book:
        yield book


def passages(books: Iterable[Book], tokenizer: Tokenizer, longest: int) -> list[Passage]:
    """Whole sentences of one paragraph, as many as fit into ``longest`` tokens; a longer sentence is cut.

    ``tokenizer`` neither pads nor truncates. Left out is what is shorter than ``SHORTEST`` or has no whole word.
    """
    first, last = (tokenizer.token_to_id(token) for token in ("[CLS]", "[SEP]"))
    found: list[Passage] = []
    for book in books:
        for text, encoding in zip(book, tokenizer.encode_batch(book, add_special_tokens=False), strict=True):
            ids, whole = np.asarray(encoding.ids, dtype=np.int32), _whole_words(text, encoding)
            for start, end in _cuts(encoding.tokens, longest - 2):
                words = np.flatnonzero(whole[start:end]).astype(np.int32)
                if end - start >= SHORTEST and len(words):
                    ends = np.asarray([first], np.int32), np.asarray([last], np.int32)
                    found.append(Passage(np.concatenate([ends[0], ids[start:end], ends[1]]), words + 1))
    return found


def _whole_words(text: str, encoding: Encoding) -> NDArray[np.bool_]:
    """(tokens,): whether the token is one whole word of the text."""
    spans = {match.span() for match in _WORD.finditer(text)}
    return np.asarray([span in spans for span in encoding.offsets], dtype=np.bool_)


def _cuts(tokens: Sequence[str], longest: int) -> Iterator[tuple[int, int]]:
    """First token and the one behind the last of each passage."""
    start = 0
    while start < len(tokens):
        end = min(start + longest, len(tokens))
        if end < len(tokens):
            end = next((place for place in range(end, start, -1) if _may_end(tokens, place)), end)
        yield start, end
        start = end


def _may_end(tokens: Sequence[str], place: int) -> bool:
    """Whether a sentence ends in front of ``place``."""
    if tokens[place] in _BEHIND:
        return False
    before = place - 1
    while before >= 0 and tokens[before] in _BEHIND:
        before -= 1
    return before >= 0 and tokens[before] in _ENDS
