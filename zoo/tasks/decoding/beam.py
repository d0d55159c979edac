"""Beam search: the likeliest of several texts that are written side by side."""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from zoo.tasks.decoding.cached_decoder import Decoder, Floats, Ids
from zoo.tasks.decoding.greedy import DROP, Hypothesis, Limits, Rule, log_softmax

BLOCK = 512  # values of which only the largest is looked at first


@dataclass(frozen=True)
class Beams:
    """How wide a search is. A text's score is divided by its length to the power of ``length_penalty``: above zero
    longer texts gain by it, below shorter ones. With ``early_stopping`` it ends as soon as ``count`` texts are there,
    with "never" only when none that is still written could do better at any length that it may get.
    """

    count: int
    length_penalty: float = 1.0
    early_stopping: bool | Literal["never"] = False

    def best_length(self, length: int, most: int) -> int:
        """The length by which a text of ``length`` tokens that may have ``most`` is expected to score best."""
        return most if self.early_stopping == "never" and self.length_penalty > 0 else length


@dataclass
class _Row:
    """The best finished texts of one row, at most ``count``, each with its score by length; the worst comes first."""

    count: int
    found: list[tuple[float, int, Hypothesis]] = field(default_factory=list)
    seen: int = 0

    def add(self, score: float, text: Hypothesis) -> None:
        insort(self.found, (score, -self.seen, text))  # of equal ones the first is the better one
        self.seen += 1
        del self.found[: -self.count]

    def settled(self, best_running: float, *, early: bool) -> bool:
        """Whether nothing that is still being written could do better, as far as its score so far tells.

        ``early``: when there are as many as were wanted, in any case.
        """
        full = len(self.found) == self.count
        return best_running == -np.inf or (full and (early or best_running <= self.found[0][0]))


def beam(decoder: Decoder, logits: Floats, limits: Limits, rule: Rule, beams: Beams) -> list[Hypothesis]:
    """The best text for each row of ``logits`` (rows, vocabulary), which follow the prompt that ``decoder`` has read.

    Each row is by itself: of the twice ``beams.count`` likeliest continuations of its texts those that end, if among
    the first half, are put aside, the best others go on. It stops when ``beams.count`` are put aside and none that goes
    on scores more, or as ``beams`` says. Token by token equal to transformers' ``generate``.
    """
    rows: Ids = np.arange(len(logits))
    done = [_Row(beams.count) for _ in rows]
    written: Ids = np.zeros((len(rows), 1, 0), dtype=np.int64)
    scores: Floats = np.zeros((len(rows), 1), dtype=np.float32)
    active = np.array([most > 0 for most in limits.most], dtype=bool)
    logits = logits[:, None]
    while active[rows].any():
        kept = np.flatnonzero(active[rows])
        if len(kept) <= DROP * len(rows):
            decoder.keep(kept)
            rows, written, scores, logits = rows[kept], written[kept], scores[kept], logits[kept]
        chances = log_softmax(logits)
        rule(written.reshape(chances.shape[0] * chances.shape[1], -1), chances.reshape(-1, chances.shape[2]))
        parents, tokens, scores = _continued(chances + scores[:, :, None], 2 * beams.count)
        written = np.concatenate([np.take_along_axis(written, parents[:, :, None], 1), tokens[:, :, None]], axis=2)
        going = np.zeros((len(rows), beams.count), dtype=np.int64)
        running = np.zeros((len(rows), beams.count), dtype=np.float32)
        by_length = written.shape[2] ** beams.length_penalty
        for place in np.flatnonzero(active[rows]):
            row = int(rows[place])
            ends = np.array([limits.reached(row, text) for text in written[place].tolist()])
            for one in np.flatnonzero(ends[: beams.count]):
                if (score := scores[place, one]) > -np.inf:
                    done[row].add(float(score / by_length), _hypothesis(written[place, one], float(score), limits.end))
            on = np.flatnonzero(~ends)[: beams.count]
            going[place, : len(on)], running[place] = on, -np.inf
            running[place, : len(on)] = scores[place, on]
            best = running[place, 0] / beams.best_length(written.shape[2], limits.most[row]) ** beams.length_penalty
            active[row] = not done[row].settled(float(best), early=beams.early_stopping is True)
        if not active[rows].any():
            break
        decoder.choose(np.take_along_axis(parents, going, 1))
        written, scores = np.take_along_axis(written, going[:, :, None], 1), running
        logits = decoder.step(written[:, :, -1:])[:, :, 0]
    return [row.found[-1][2] if row.found else Hypothesis((), 0.0, ended=False) for row in done]


def _continued(scores: Floats, most: int) -> tuple[Ids, Ids, Floats]:
    """Text, token and score of the likeliest continuations of each row, best first: (rows, most), fewer if there are
    no more, of ``scores`` (rows, texts, vocabulary)."""
    vocabulary = scores.shape[2]
    best = np.stack([_largest(row.reshape(-1), most) for row in scores])
    return best // vocabulary, best % vocabulary, np.take_along_axis(scores.reshape(len(scores), -1), best, 1)


def _largest(values: NDArray[np.float32], count: int) -> Ids:
    """Places of the ``count`` largest values (n,), in falling order; of equal ones the first.

    At least ``count`` values reach the one that as many blocks reach: all others are never sorted.
    """
    tops = np.maximum.reduceat(values, np.arange(0, len(values), BLOCK))
    least = np.partition(tops, -count)[-count] if len(tops) >= count else -np.inf
    places = np.flatnonzero(values >= least)
    return places[np.argsort(-values[places], kind="stable")[:count]]


def _hypothesis(tokens: Ids, score: float, end: int) -> Hypothesis:
    text: Sequence[int] = tokens.tolist()
    ended = text[-1] == end
    return Hypothesis(tuple(text[:-1] if ended else text), score, ended)
