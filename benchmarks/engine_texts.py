"""Texts that the engine is measured with: lengths in tokens as they come in practice, no text twice.

What a text holds differs in how well it tokenises (common words, names, numbers), so that characters tell tokens only
roughly, as in real texts; no two are equal, so that no cache answers any of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

Rng = np.random.Generator
SIGMA = 0.8  # of the log-normal lengths: half of the texts have 16 to 46 tokens


@dataclass(frozen=True)
class Lengths:
    """Lengths in tokens, special ones included: log-normal around ``mean``, or log-uniform where that is None."""

    low: int
    high: int
    mean: float | None = None

    def draw(self, rng: Rng, count: int) -> NDArray[np.int64]:
        """That many lengths."""
        if self.mean is None:
            drawn = np.exp(rng.uniform(math.log(self.low), math.log(self.high), count))
        else:
            drawn = rng.lognormal(math.log(self.mean) - SIGMA**2 / 2, SIGMA, count)
        return np.clip(np.rint(drawn), self.low, self.high).astype(np.int64)


@dataclass(frozen=True)
class Workload:
    """What is sent: requests of ``together`` texts by ``clients`` at once, to a model of the zoo."""

    name: str
    lengths: Lengths
    clients: int
    together: int
    model: str = "minilm"


class Writer:
    """Writes texts for a tokenizer that neither pads nor cuts. ``tokens`` counts as the model does."""

    def __init__(self, tokenizer: Path) -> None:
        self._tokenizer = plain_tokenizer(tokenizer)
        ranked = sorted(self._tokenizer.get_vocab().items(), key=lambda item: item[1])
        self._words = [word for word, _ in ranked if len(word) > 1 and word.isascii() and word.isalpha()]

    def write(self, workload: Workload, count: int, *, seed: int) -> list[str]:
        """Texts for a workload; another seed gives others."""
        rng = np.random.default_rng([seed, len(workload.name), workload.clients, workload.together])
        return [self._text(rng, int(tokens)) for tokens in workload.lengths.draw(rng, count)]

    def tokens(self, texts: list[str]) -> list[int]:
        """Length of each."""
        return [len(encoding.ids) for encoding in self._tokenizer.encode_batch(texts)]

    def _text(self, rng: Rng, tokens: int) -> str:
        unusual = rng.beta(1, 4)  # share of names and numbers, which take several tokens each
        text = " ".join(self._word(rng, unusual) for _ in range(tokens))
        encoding = self._tokenizer.encode(text)
        return text[: encoding.offsets[min(tokens, len(encoding.ids)) - 2][1]]

    def _word(self, rng: Rng, unusual: float) -> str:
        # The vocabulary is ranked by frequency, and frequent words are short.
        word = self._words[int(len(self._words) * rng.random() ** 3)]
        if rng.random() >= unusual:
            return word
        return str(rng.integers(10_000)) if rng.random() < 0.3 else word + self._words[rng.integers(len(self._words))]


def plain_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer of a model, without padding and truncation."""
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def requests_of(texts: list[str], together: int) -> Iterator[list[str]]:
    """Texts in requests of that many."""
    for start in range(0, len(texts), together):
        yield texts[start : start + together]


SHORT = Lengths(4, 256, 33.0)
MIXED = Lengths(8, 512)
LONE = Lengths(16, 16)
LONG_MODEL = "minilm-long"  # the same graph, with the limit that its positions allow

SINGLES = Workload("64 clients, one text each", SHORT, clients=64, together=1)
LISTS = Workload("16 clients, lists of 32", SHORT, clients=16, together=32)
SPREAD = Workload("64 clients, 8-512 tokens", MIXED, clients=64, together=1, model=LONG_MODEL)
ALONE = Workload("one client, 16 tokens", LONE, clients=1, together=1)
CHECKED = Workload("answers compared", SHORT, clients=1, together=1)
