"""From spans in a text to a label for each token, for the words that the served model will see."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from adapters.datasets import Span
from zoo.tasks.decoding.entities import Piece, Pieces, words
from zoo.tasks.processors.windows import Window

IGNORED = -100
OUTSIDE = "O"


def tags_of(kinds: Sequence[str]) -> tuple[str, ...]:
    """The labels of a tagger for some kinds of entities: ``O``, and ``B-`` and ``I-`` of each."""
    return (OUTSIDE, *(f"{mark}-{kind}" for kind in kinds for mark in ("B", "I")))


def wanted(window: Window, text: str, spans: Sequence[Span], places: dict[str, int], pieces: Pieces) -> Tensor:
    """(tokens,): the label of the first token of each word, ``IGNORED`` for others, which no answer is read from.

    ``places`` are those of the labels. A word that a span touches is of it, and its beginning if it holds the span's
    first character.
    """
    found = torch.full((window.cost,), IGNORED)
    for word in words(pieces.read(window, text)):
        start, end = _trimmed(word, text)
        span = next((span for span in spans if span.start < end and start < span.end), None)
        begins = span is not None and start <= span.start
        found[word[0].place] = places[OUTSIDE if span is None else f"{'B' if begins else 'I'}-{span.label}"]
    return found


def _trimmed(word: Sequence[Piece], text: str) -> tuple[int, int]:
    """Where a word stands, without a space before it that belongs to its first token."""
    start, end = word[0].start, max(word[0].end, word[-1].end)
    return end - len(text[start:end].lstrip()), end
