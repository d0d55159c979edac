"""Figures by which classifiers are compared, on numpy alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def classification_scores(predicted: Sequence[int], true: Sequence[int], labels: Sequence[str]) -> dict[str, Any]:
    """Accuracy, macro F1 over the classes that occur, figures of each class and the confusion matrix.

    ``predicted`` and ``true`` are places in ``labels``. In ``confusion`` row is the true class, column the predicted.
    ``score``, by which models are compared, is the mean of accuracy and macro F1: neither rare nor common classes rule.
    """
    confusion = np.zeros((len(labels), len(labels)), dtype=np.int64)
    np.add.at(confusion, (np.asarray(true, dtype=np.int64), np.asarray(predicted, dtype=np.int64)), 1)
    hits = np.diag(confusion).astype(float)
    support, named = confusion.sum(axis=1), confusion.sum(axis=0)
    precision = np.divide(hits, named, out=np.zeros_like(hits), where=named > 0)
    recall = np.divide(hits, support, out=np.zeros_like(hits), where=support > 0)
    both = precision + recall
    f1 = np.divide(2 * precision * recall, both, out=np.zeros_like(hits), where=both > 0)
    occurring = (support + named) > 0
    accuracy = float(hits.sum() / max(1, len(true)))
    macro = float(f1[occurring].mean()) if occurring.any() else 0.0
    return {
        "rows": len(true),
        "accuracy": round(accuracy, 6),
        "macro_f1": round(macro, 6),
        "score": round((accuracy + macro) / 2, 6),
        "per_class": {
            label: {
                "precision": round(float(precision[place]), 6),
                "recall": round(float(recall[place]), 6),
                "f1": round(float(f1[place]), 6),
                "support": int(support[place]),
            }
            for place, label in enumerate(labels)
        },
        "confusion": confusion.tolist(),
    }
