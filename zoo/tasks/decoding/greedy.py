"""The likeliest next token, until the end: one hypothesis a row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from zoo.tasks.decoding.cached_decoder import Decoder, Floats, Ids

Rule = Callable[[Ids, Floats], None]
"""Forbids tokens: what each row has written so far (rows, written) and logits (rows, vocabulary), changed in place."""

PHRASE = 12  # tokens: the longest that counts as repeating itself
# A row that is done goes on being computed until this share of the batch is: dropping it copies the others' memory.
DROP = 0.5


@dataclass(frozen=True)
class Hypothesis:
    """Tokens without the one that ends them, and the sum of the logarithms of their probabilities, the end included.

    ``ended``: whether it came to its end, or was cut at the most tokens.
    """

    tokens: tuple[int, ...]
    score: float
    ended: bool

    @property
    def mean(self) -> float:
        """Mean logarithm of the probability of a token, the end counted."""
        return self.score / (len(self.tokens) + 1)


@dataclass(frozen=True)
class Limits:
    """Where a search stops: at the token ``end``, or after ``most`` tokens of a row.

    Unless it is zero, also where the last ``loop`` tokens are one phrase again and again: it would go on like that.
    """

    end: int
    most: Sequence[int]
    loop: int = 0

    def reached(self, row: int, tokens: Sequence[int]) -> bool:
        """Whether a row ends with what it has written."""
        return tokens[-1] == self.end or len(tokens) >= self.most[row] or self._loops(tokens)

    def _loops(self, tokens: Sequence[int]) -> bool:
        last = tokens[-self.loop :]
        if not self.loop or len(tokens) < self.loop or len(set(last)) > PHRASE:
            return False
        return any(last[period:] == last[:-period] for period in range(1, min(PHRASE, self.loop // 2) + 1))


def greedy(
    decoder: Decoder, logits: Floats, limits: Limits, rule: Rule, temperature: float = 0.0, seed: int = 0
) -> list[Hypothesis]:
    """One hypothesis for each row of ``logits`` (rows, vocabulary), which follow the prompt that ``decoder`` has read.

    Above a ``temperature`` of zero tokens are drawn. Of equally likely tokens the first is taken. Changes ``logits``.
    """
    draw = np.random.default_rng(seed)
    rows: Ids = np.arange(len(logits))
    written: list[list[int]] = [[] for _ in rows]
    scores = np.zeros(len(logits))
    ended = np.zeros(len(logits), dtype=bool)
    done = np.array([most <= 0 for most in limits.most])
    while True:
        so_far = np.array([_padded(written[row], len(written[rows[0]]), limits.end) for row in rows], dtype=np.int64)
        rule(so_far, logits)
        chosen, chances = _pick(logits, temperature, draw)
        for row, token, chance in zip(rows, chosen, chances, strict=True):
            if done[row]:
                written[row].append(limits.end)
                continue
            scores[row] += chance
            ended[row] = token == limits.end
            written[row].append(int(token))
            done[row] = limits.reached(row, written[row])
        if done.all():
            break
        active = ~done[rows]
        tokens = chosen[:, None, None].astype(np.int64)
        if active.mean() <= DROP:
            kept = np.flatnonzero(active)
            decoder.keep(kept)
            rows, tokens = rows[kept], tokens[kept]
        logits = decoder.step(tokens)[:, 0, 0]
    return [
        Hypothesis(_until(tokens, limits.end, limits.most[row]), float(scores[row]), bool(ended[row]))
        for row, tokens in enumerate(written)
    ]


def log_softmax(logits: Floats) -> Floats:
    """Logarithms of probabilities over the last axis; minus infinity stays."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)), dtype=np.float32)


def _pick(logits: Floats, temperature: float, draw: np.random.Generator) -> tuple[Ids, Floats]:
    """Token and the logarithm of its probability at temperature 1 for each row."""
    if temperature > 0:  # the largest of noisy logits is a draw from their softmax (Gumbel)
        # the same noise for every row: what is drawn for one does not depend on those that it is decoded with
        noisy = logits / temperature + draw.gumbel(size=logits.shape[1])
        chosen = noisy.argmax(axis=1)
    else:
        chosen = logits.argmax(axis=1)
    top = logits.max(axis=1)
    total = top + np.log(np.exp(logits - top[:, None]).sum(axis=1))
    return chosen, np.asarray(logits[np.arange(len(logits)), chosen] - total, dtype=np.float32)


def _padded(tokens: Sequence[int], length: int, end: int) -> list[int]:
    return [*tokens[:length], *[end] * (length - len(tokens))]


def _until(tokens: Sequence[int], end: int, most: int) -> tuple[int, ...]:
    cut = list(tokens[:most])
    return tuple(cut[: cut.index(end)] if end in cut else cut)
