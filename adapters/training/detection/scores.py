"""Figures by which detectors are compared: COCO's average precision, on numpy alone.

Lin et al., "Microsoft COCO: Common Objects in Context", 2014. For every class and overlap, found objects are matched
best score first to the true object they overlap most; precision is read at 101 recalls.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.tasks.processors.boxes import Detections, overlaps

OVERLAPS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0.0, 1.0, 101)
MOST = 100  # found objects of a class in a picture that count


def detection_scores(found: Sequence[Detections], true: Sequence[Detections], labels: Sequence[str]) -> dict[str, Any]:
    """``map`` (mean over overlaps .50 to .95), ``map50`` and figures of each class; picture by picture.

    ``score``, by which models are compared, is ``map``. A class without a true object has no figures. ``recall`` is
    that at overlap .50. Scores of ``true`` are ignored.
    """
    per_class: dict[str, dict[str, Any]] = {}
    for place, label in enumerate(labels):
        count = sum(int((one.classes == place).sum()) for one in true)
        if count:
            precision, recall = _curves(found, true, place, count)
            per_class[label] = {
                "map": round(float(precision.mean()), 6),
                "map50": round(float(precision[0]), 6),
                "recall": round(float(recall[0]), 6),
                "support": count,
            }
    mean = {name: _mean([figures[name] for figures in per_class.values()]) for name in ("map", "map50")}
    return {"rows": len(true), **mean, "score": mean["map"], "per_class": per_class}


def _mean(values: Sequence[float]) -> float:
    return round(float(np.mean(values)), 6) if values else 0.0


def _curves(
    found: Sequence[Detections], true: Sequence[Detections], place: int, count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Average precision and final recall of one class for each overlap."""
    hits: list[NDArray[np.bool_]] = []
    scores: list[NDArray[np.float32]] = []
    for one, other in zip(found, true, strict=True):
        mine = one.take(one.classes == place)
        mine = mine.take(np.argsort(-mine.scores, kind="stable")[:MOST])
        hits.append(_hits(mine, other.take(other.classes == place)))
        scores.append(mine.scores)
    order = np.argsort(-np.concatenate(scores), kind="stable")
    good = np.concatenate(hits, axis=1)[:, order]
    caught = np.cumsum(good, axis=1)
    recall = caught / count
    precision = caught / np.arange(1, good.shape[1] + 1)
    # What is read at a recall is the best precision at that recall or beyond.
    precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    areas = np.zeros(len(OVERLAPS))
    for index in range(len(OVERLAPS)):
        places = np.searchsorted(recall[index], RECALLS, side="left")
        reached = places < good.shape[1]
        areas[index] = precision[index][places[reached]].sum() / len(RECALLS)
    return areas, recall[:, -1] if good.shape[1] else np.zeros(len(OVERLAPS))


def _hits(found: Detections, true: Detections) -> NDArray[np.bool_]:
    """(overlaps, found): whether each found object, best first, is matched to a true one not yet taken."""
    good = np.zeros((len(OVERLAPS), len(found.scores)), dtype=np.bool_)
    if not len(true.boxes):
        return good
    shared = np.stack([overlaps(true.boxes, box) for box in found.boxes]) if len(found.boxes) else np.zeros((0, 1))
    for index, least in enumerate(OVERLAPS):
        free = np.ones(len(true.boxes), dtype=np.bool_)
        # Most of what a detector finds overlaps nothing enough.
        for place in np.flatnonzero((shared >= least - 1e-7).any(axis=1)):
            candidates = np.where(free, shared[place], -1.0)
            best = int(candidates.argmax())
            if candidates[best] >= least - 1e-7:
                free[best] = False
                good[index, place] = True
    return good
