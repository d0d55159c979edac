"""A decoder graph and what it remembers: some tokens in, the logits of the next ones out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from zoo.tasks.task import Array, Run

Ids = NDArray[np.int64]
Floats = NDArray[np.float32]


class Decoder(Protocol):
    """What a search needs of one, whatever graph it runs."""

    def step(self, tokens: Ids, at: Sequence[int] = (-1,)) -> Floats:
        """Logits (batch, hypotheses, len(at), vocabulary) at places of ``tokens`` (batch, hypotheses, new)."""

    def choose(self, hypotheses: Ids) -> None:
        """Go on with those hypotheses (batch, wanted) of each row; one may be chosen several times."""

    def keep(self, rows: Ids) -> None:
        """Go on with those rows of the batch alone."""


class CachedDecoder:
    """One batch being decoded; for one thread. All hypotheses of a batch are equally long.

    The graph takes ``tokens`` (batch, hypotheses, new), ``at`` (wanted,), ``past_<name>`` (batch, hypotheses, heads,
    past, width) for each of ``names``, and ``fixed``, whose first axis is the batch: what the encoder answered. Its
    outputs are ``logits`` (batch, hypotheses, wanted, vocabulary) and ``new_<name>``. ``head`` is (heads, width).
    """

    def __init__(self, run: Run, fixed: Mapping[str, Array], names: Sequence[str], head: tuple[int, int]) -> None:
        self._run = run
        self._fixed = dict(fixed)
        self._names = tuple(names)
        self._head = head
        self._past: list[Array] = []

    def step(self, tokens: Ids, at: Sequence[int] = (-1,)) -> Floats:
        """Logits (batch, hypotheses, len(at), vocabulary) at places of ``tokens`` (batch, hypotheses, new)."""
        outputs = ("logits", *(f"new_{name}" for name in self._names))
        logits, *self._past = self._run(self._feeds(tokens, at), outputs)
        return np.asarray(logits, dtype=np.float32)

    def alignment(self, tokens: Ids) -> Floats:
        """Where the alignment heads look when they read each of ``tokens`` (batch, hypotheses, new), which are not
        remembered: (batch, hypotheses, heads, new, positions)."""
        (seen,) = self._run(self._feeds(tokens, (-1,)), ("alignment",))
        return np.asarray(seen, dtype=np.float32)

    def _feeds(self, tokens: Ids, at: Sequence[int]) -> dict[str, Array]:
        batch, group, new = tokens.shape
        heads, width = self._head
        past = self._past or [np.zeros((batch, group, heads, 0, width), np.float32)] * len(self._names)
        places = np.array([place % new for place in at], dtype=np.int64)
        feeds = {f"past_{name}": values for name, values in zip(self._names, past, strict=True)}
        return {"tokens": tokens, "at": places, **feeds, **self._fixed}

    def choose(self, hypotheses: Ids) -> None:
        """Go on with those hypotheses (batch, wanted) of each row; one may be chosen several times."""
        rows = np.arange(len(hypotheses))[:, None]
        group = self._past[0].shape[1] if self._past else 0
        if hypotheses.shape[1] == group and (hypotheses == np.arange(group)).all():
            return
        self._past = [values[rows, hypotheses] for values in self._past]

    def keep(self, rows: Ids) -> None:
        """Go on with those rows of the batch alone."""
        self._past = [values[rows] for values in self._past]
        self._fixed = {name: values[rows] for name, values in self._fixed.items()}


def cache_names(layers: int) -> tuple[str, ...]:
    """``key_0``, ``value_0``, ``key_1``, …: the order in which graphs name keys and values."""
    return tuple(f"{kind}_{layer}" for layer in range(layers) for kind in ("key", "value"))
