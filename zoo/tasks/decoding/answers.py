"""Scores of the first and last token of an answer to answers with their places, over all windows of a text.

As transformers' question-answering pipeline did it until its release 5 took the pipeline away; spans are scored as in
DrQA (Chen et al., "Reading Wikipedia to Answer Open-Domain Questions", 2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from zoo.tasks import ops
from zoo.tasks.processors.windows import EncodedWindows, Window

Floats = NDArray[np.float32]
NOWHERE = -10_000.0  # a logit without a chance


@dataclass(frozen=True)
class Answer:
    """A stretch of the text, or an empty one for "there is no answer"."""

    text: str
    score: float
    start: int
    end: int


@dataclass(frozen=True)
class Reading:
    """How answers are read: so many, of at most so many tokens, as whole words, and perhaps none."""

    top_k: int = 1
    max_tokens: int = 15
    whole_words: bool = True
    may_be_none: bool = False


def answers_in(text: EncodedWindows, logits: Sequence[Floats], how: Reading) -> list[Answer]:
    """The likeliest answers, best first, at most ``top_k``; ``logits`` (tokens, 2) of each window, start and end.

    Answers of equal text, case aside, count as one, whose chances are added. That there is no answer is as likely as in
    the window that is surest of finding one.
    """
    found: dict[str, Answer] = {}
    none = 1.0
    # whole words may turn several candidates into one
    count = 2 * how.top_k + 10 if how.whole_words else how.top_k
    for window, scores in zip(text.windows, logits, strict=True):
        starts, ends = _chances(window, np.asarray(scores, dtype=np.float32))
        none = min(none, float(starts[0] * ends[0]))
        for first, last, chance in _spans(window, starts, ends, count=count, longest=how.max_tokens):
            start, end = _place(window, first, last, whole_words=how.whole_words)
            answer = text.text[start:end]
            known = found.get(answer.lower())
            found[answer.lower()] = (
                Answer(answer, chance, start, end) if known is None else replace(known, score=known.score + chance)
            )
    ranked = list(found.values())
    if how.may_be_none:
        ranked.append(Answer("", none, 0, 0))
    ranked.sort(key=lambda answer: answer.score, reverse=True)
    # the same answer in two windows may add up to more than certainty
    return [replace(answer, score=min(1.0, answer.score)) for answer in ranked[: how.top_k]]


def _chances(window: Window, logits: Floats) -> tuple[Floats, Floats]:
    """Of each token to be the first, and to be the last one of the answer.

    The first token of the window, which stands for no answer, takes its share too.
    """
    allowed = window.inside.copy()
    allowed[0] = True
    masked = np.where(allowed[:, None], logits, np.float32(NOWHERE))
    return ops.softmax(masked[:, 0]), ops.softmax(masked[:, 1])


def _spans(window: Window, starts: Floats, ends: Floats, *, count: int, longest: int) -> list[tuple[int, int, float]]:
    """First and last token and chance of the likeliest spans inside the text, best first."""
    inside = window.inside
    both = np.outer(np.where(inside, starts, 0), np.where(inside, ends, 0))
    chances = np.tril(np.triu(both), min(longest, len(inside)) - 1).ravel()
    best = np.argpartition(-chances, count)[:count] if count < len(chances) else np.arange(len(chances))
    best = best[np.argsort(-chances[best], kind="stable")]
    width = len(inside)
    return [(int(at) // width, int(at) % width, float(chances[at])) for at in best if chances[at] > 0]


def _place(window: Window, first: int, last: int, *, whole_words: bool) -> tuple[int, int]:
    """Characters from one token to another, or from the beginning of a word to the end of one."""
    if whole_words and window.words[first] >= 0 and window.words[last] >= 0:
        return int(_word(window, first)[:, 0].min()), int(_word(window, last)[:, 1].max())
    return int(window.offsets[first, 0]), int(window.offsets[last, 1])


def _word(window: Window, token: int) -> NDArray[np.int64]:
    """Offsets of all tokens of a token's word in the window."""
    same: NDArray[np.bool_] = window.inside & (window.words == window.words[token])
    offsets: NDArray[np.int64] = window.offsets[same]
    return offsets
