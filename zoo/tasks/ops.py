"""The arithmetic that tasks share, on numpy arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def softmax(logits: Floats) -> Floats:
    """Probabilities over the last axis, shifted by the maximum so that nothing overflows."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True), dtype=np.float32)


def sigmoid(logits: Floats) -> Floats:
    """Probability of each label by itself; clipped, as exp overflows float32 beyond 88."""
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(logits, -80.0, 80.0))), dtype=np.float32)


def ranked(
    labels: Sequence[str], logits: Floats, *, function: str, top_k: int | None = None
) -> list[dict[str, object]]:
    """``{"label", "score"}`` for the ``top_k`` (all unless set) highest scores, of equal ones the first label first.

    ``function`` is ``softmax``, ``sigmoid`` or ``none``.
    """
    scores = {"softmax": softmax, "sigmoid": sigmoid}.get(function, lambda values: values)(logits)
    order = np.argsort(-scores, kind="stable")[:top_k]
    return [{"label": labels[place], "score": float(scores[place])} for place in order]


def pool(hidden: Floats, mask: NDArray[np.int64], mode: str) -> Floats:
    """(batch, tokens, width) and (batch, tokens) to (batch, width): ``mean`` or ``max`` of real tokens, or ``cls``."""
    if mode == "cls":
        return np.asarray(hidden[:, 0], dtype=np.float32)
    if mode == "max":
        return np.asarray(np.where(mask[..., None] > 0, hidden, -np.inf).max(axis=1), dtype=np.float32)
    weights = mask.astype(np.float32)
    summed = np.einsum("bt,btw->bw", weights, hidden)  # half the time of a product that is summed afterwards
    return np.asarray(summed / np.maximum(weights.sum(axis=1, keepdims=True), 1e-9), dtype=np.float32)


def normalise(vectors: Floats) -> Floats:
    """Vectors of length one along the last axis; a zero vector stays zero."""
    length = np.sqrt((vectors * vectors).sum(axis=-1, keepdims=True))
    return np.asarray(vectors / np.maximum(length, 1e-12), dtype=np.float32)
