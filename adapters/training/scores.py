"""Figures by which classifiers, and what answers with a number, are compared, on numpy alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]


def classification_scores(predicted: Sequence[int], true: Sequence[int], labels: Sequence[str]) -> dict[str, Any]:
    """Accuracy, macro F1 over the classes that occur, figures of each class and the confusion matrix.

    ``predicted`` and ``true`` are places in ``labels``. In ``confusion`` row is the true class, column the predicted.
    ``score``, by which models are compared, is the mean of accuracy and macro F1: neither rare nor common classes rule.
    """
    confusion = np.zeros((len(labels), len(labels)), dtype=np.int64)
    np.add.at(confusion, (np.asarray(true, dtype=np.int64), np.asarray(predicted, dtype=np.int64)), 1)
    hits = np.diag(confusion)
    macro, per_class = _per_class(hits, confusion.sum(axis=0), confusion.sum(axis=1), labels)
    accuracy = float(hits.sum() / max(1, len(true)))
    return {
        "rows": len(true),
        "accuracy": round(accuracy, 6),
        "macro_f1": round(macro, 6),
        "score": round((accuracy + macro) / 2, 6),
        "per_class": per_class,
        "confusion": confusion.tolist(),
    }


def labelling_scores(predicted: NDArray[np.bool_], true: NDArray[np.bool_], labels: Sequence[str]) -> dict[str, Any]:
    """F1 where any number of labels applies; ``predicted`` and ``true`` are (rows, labels).

    ``macro_f1`` is the mean over the labels that occur, ``micro_f1`` that of all decisions, ``accuracy`` the share of
    rows without a wrong one. ``score`` is ``macro_f1``.
    """
    hits, named, support = (predicted & true).sum(axis=0), predicted.sum(axis=0), true.sum(axis=0)
    macro, per_class = _per_class(hits, named, support, labels)
    micro = 2 * hits.sum() / max(1, named.sum() + support.sum())
    return {
        "rows": len(true),
        "macro_f1": round(macro, 6),
        "micro_f1": round(float(micro), 6),
        "accuracy": round(float((predicted == true).all(axis=1).mean()), 6),
        "score": round(macro, 6),
        "per_class": per_class,
    }


def correlation_scores(predicted: Sequence[float], true: Sequence[float]) -> dict[str, Any]:
    """Correlation of ranks (``spearman``, equal values share a rank) and of values, and the mean absolute error.

    A correlation with values that are all alike is 0. ``score`` is ``spearman``.
    """
    one, other = np.asarray(predicted, dtype=np.float64), np.asarray(true, dtype=np.float64)
    spearman = round(_correlation(_ranks(one), _ranks(other)), 6)
    return {
        "rows": len(other),
        "spearman": spearman,
        "pearson": round(_correlation(one, other), 6),
        "mean_absolute_error": round(float(np.abs(one - other).mean()), 6),
        "score": spearman,
    }


def _per_class(
    hits: Counts, named: Counts, support: Counts, labels: Sequence[str]
) -> tuple[float, dict[str, dict[str, float]]]:
    """Macro F1 over the labels that occur, and the figures of each."""
    right = hits.astype(float)
    precision = np.divide(right, named, out=np.zeros_like(right), where=named > 0)
    recall = np.divide(right, support, out=np.zeros_like(right), where=support > 0)
    both = precision + recall
    f1 = np.divide(2 * precision * recall, both, out=np.zeros_like(right), where=both > 0)
    occurring = (support + named) > 0
    figures = {
        label: {
            "precision": round(float(precision[place]), 6),
            "recall": round(float(recall[place]), 6),
            "f1": round(float(f1[place]), 6),
            "support": int(support[place]),
        }
        for place, label in enumerate(labels)
    }
    return float(f1[occurring].mean()) if occurring.any() else 0.0, figures


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 1; equal values have the mean of theirs."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2)[places], dtype=np.float64)


def _correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    apart = one - one.mean(), other - other.mean()
    size = float(np.linalg.norm(apart[0]) * np.linalg.norm(apart[1]))
    return float(apart[0] @ apart[1]) / size if size > 0 else 0.0
