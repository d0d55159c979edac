"""Figures by which segmentations are compared: intersection over union, summed over all pictures as PASCAL VOC does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]


def confusion(predicted: NDArray[Any], true: NDArray[Any], classes: int) -> Counts:
    """(classes, classes) pixel counts, rows true, columns predicted, of two maps of one size.

    Pixels whose true value is no class (255: ignored) do not count. ``predicted`` holds classes only.
    """
    asked = true < classes
    pairs = true[asked].astype(np.int64) * classes + predicted[asked].astype(np.int64)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def segmentation_scores(counts: Counts, labels: Sequence[str], *, rows: int) -> dict[str, Any]:
    """Figures from the summed ``confusion`` of ``rows`` pictures.

    ``mean_iou``, which is also the ``score``, is over the classes that occur, in the masks or in the answers: a class
    that is neither there nor claimed has no figure (Everingham et al., "The PASCAL Visual Object Classes", 2010).
    """
    hits = np.diag(counts).astype(float)
    true, claimed = counts.sum(axis=1), counts.sum(axis=0)
    union = true + claimed - hits
    iou = np.divide(hits, union, out=np.zeros_like(hits), where=union > 0)
    mean = float(iou[union > 0].mean()) if (union > 0).any() else 0.0
    total = int(counts.sum())
    return {
        "rows": rows,
        "mean_iou": round(mean, 6),
        "pixel_accuracy": round(float(hits.sum() / max(1, total)), 6),
        "score": round(mean, 6),
        "pixels": total,
        "per_class": {
            label: {"iou": round(float(iou[place]), 6) if union[place] > 0 else None, "pixels": int(true[place])}
            for place, label in enumerate(labels)
        },
    }
