"""Scores of tokens to entities with their places in the text, as transformers' token-classification pipeline does it.

The strategies are those of the pipeline: ``none`` a label for each token; ``simple`` adjacent tokens of one kind
together; ``first``, ``average`` and ``max`` give each word one label first, from its first token, the mean of its
tokens, or its surest token.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from zoo.tasks.processors.windows import Window

Strategy = Literal["none", "simple", "first", "average", "max"]
Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Piece:
    """A token of a text: how it is written, where it stands (characters), and whether it goes on with a word.

    ``place`` is that in its window, ``index`` that in the text, counted as the pipeline does: special tokens too.
    """

    text: str
    start: int
    end: int
    place: int
    index: int
    goes_on: bool


@dataclass(frozen=True, eq=False)
class Entity:
    """A stretch of a text under one label, ``score`` being how sure that is; ``index`` is that of a single token."""

    label: str
    score: float
    text: str
    start: int
    end: int
    index: int | None = None


class Pieces:
    """Reads the tokens of windows with one tokenizer."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._marked = bool(getattr(tokenizer.model, "continuing_subword_prefix", None))
        self._unknown = _unknown(tokenizer)

    def read(self, window: Window, text: str) -> list[Piece]:
        """The tokens of the text in a window.

        A token goes on with a word where the tokenizer marks that (``##ing``), else where no space is before it.
        """
        found: list[Piece] = []
        for place in np.flatnonzero(window.inside).tolist():
            token = int(window.ids[place])
            start, end = (int(value) for value in window.offsets[place])
            written, source = str(self._tokenizer.id_to_token(token)), text[start:end]
            if self._marked:
                goes_on = len(written) != len(source)
            else:
                goes_on = start > 0 and " " not in text[start - 1 : start + 1]
            if token == self._unknown:
                written, goes_on = source, False
            found.append(Piece(written, start, end, place, place + window.start, goes_on))
        return found

    def join(self, parts: Sequence[str]) -> str:
        """Tokens as one text, as the tokenizer decodes them."""
        decoder = self._tokenizer.decoder
        return str(decoder.decode(list(parts))) if decoder is not None else " ".join(parts)


def entities(
    pieces: Sequence[Piece], scores: Floats, labels: Sequence[str], strategy: Strategy, joining: Pieces
) -> list[Entity]:
    """``scores`` (tokens of the window, labels) are probabilities; every piece is in exactly one of the answers."""
    if strategy in ("none", "simple"):
        tokens = [_labelled(labels, scores[piece.place], [piece], piece.text, index=piece.index) for piece in pieces]
        return tokens if strategy == "none" else _grouped(tokens, joining)
    whole = [
        _labelled(labels, _of_word(scores[[piece.place for piece in word]], strategy), word, _written(word, joining))
        for word in words(pieces)
    ]
    return _grouped(whole, joining)


def merged(found: Sequence[Entity]) -> list[Entity]:
    """Of entities in windows that overlap, those in the order of the text: of two that overlap the longer one stays,
    of equally long ones the surer. Single tokens are told apart by their ``index``, as several may be of one letter."""
    if all(entity.index is not None for entity in found):
        surest = sorted(found, key=lambda entity: entity.score)
        return sorted({entity.index: entity for entity in surest}.values(), key=lambda entity: entity.index or 0)
    kept: list[Entity] = []
    for entity in sorted(found, key=lambda entity: entity.start):
        if kept and kept[-1].start <= entity.start < kept[-1].end:
            lengths = entity.end - entity.start, kept[-1].end - kept[-1].start
            if (lengths[0], entity.score) > (lengths[1], kept[-1].score):
                kept[-1] = entity
        else:
            kept.append(entity)
    return kept


def kind_of(label: str) -> tuple[bool, str]:
    """Whether a label begins an entity of its own, and the kind: of ``B-PER`` True, ``PER``."""
    if label[:2] in ("B-", "I-"):
        return label[0] == "B", label[2:]
    return False, label


def _labelled(
    labels: Sequence[str], scores: Floats, pieces: Sequence[Piece], text: str, *, index: int | None = None
) -> Entity:
    best = int(scores.argmax())
    return Entity(labels[best], float(scores[best]), text, pieces[0].start, pieces[-1].end, index)


def words(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """Tokens by the word that they belong to."""
    found: list[list[Piece]] = []
    for piece in pieces:
        if found and piece.goes_on:
            found[-1].append(piece)
        else:
            found.append([piece])
    return found


def _of_word(scores: Floats, strategy: Strategy) -> Floats:
    """One row for a word from those of its tokens."""
    if strategy == "average":
        return np.asarray(scores.mean(axis=0), dtype=np.float32)
    surest = 0 if strategy == "first" else int(scores.max(axis=1).argmax())
    return np.asarray(scores[surest])


def _written(word: Sequence[Piece], joining: Pieces) -> str:
    return joining.join([piece.text for piece in word])


def _grouped(tokens: Sequence[Entity], joining: Pieces) -> list[Entity]:
    """Neighbours of one kind together, unless a label says that it begins another."""
    groups: list[list[Entity]] = []
    for token in tokens:
        begins, kind = kind_of(token.label)
        if groups and not begins and kind == kind_of(groups[-1][-1].label)[1]:
            groups[-1].append(token)
        else:
            groups.append([token])
    return [
        replace(
            group[0],
            label=group[0].label.split("-", 1)[-1],
            score=float(np.mean([token.score for token in group])),
            text=joining.join([token.text for token in group]),
            end=group[-1].end,
            index=None,
        )
        for group in groups
    ]


def _unknown(tokenizer: Tokenizer) -> int | None:
    """The token that stands for what the vocabulary lacks."""
    name = getattr(tokenizer.model, "unk_token", None)
    if name is not None:
        return tokenizer.token_to_id(name)
    unknown: Any = json.loads(tokenizer.to_str())["model"].get("unk_id")
    return None if unknown is None else int(unknown)
