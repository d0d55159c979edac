"""Boxes of detectors on numpy arrays: from a graph's rows to scored boxes without duplicates.

A box is xmin, ymin, xmax, ymax; boxes are (count, 4) float32.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zoo.tasks import ops

Floats = NDArray[np.float32]
Places = NDArray[np.int64]

CANDIDATES = 1000  # the best of a dense detector's positions; more only cost time
MOST = 300  # objects in one picture
SAME_CLASS, ANY_CLASS = 0.6, 0.85  # overlap from which two boxes are one object


@dataclass(frozen=True)
class Detections:
    """Objects found in one picture: boxes (count, 4), their classes and scores."""

    boxes: Floats
    classes: Places
    scores: Floats

    def take(self, places: NDArray[np.generic]) -> Detections:
        """Those at ``places`` (indices or a mask), in that order."""
        return Detections(self.boxes[places], self.classes[places], self.scores[places])

    def scaled(self, x: float, y: float) -> Detections:
        """The same with boxes multiplied along each axis."""
        return Detections(self.boxes * np.asarray([x, y, x, y], dtype=np.float32), self.classes, self.scores)

    def clipped(self, height: int, width: int) -> Detections:
        """The same with boxes cut at the borders of a picture."""
        limits = np.asarray([width, height, width, height], dtype=np.float32)
        return Detections(np.clip(self.boxes, 0.0, limits), self.classes, self.scores)


def corners(boxes: Floats) -> Floats:
    """Centre and size (..., 4) to corners."""
    centre, half = boxes[..., :2], 0.5 * boxes[..., 2:]
    return np.concatenate([centre - half, centre + half], axis=-1)


def overlaps(boxes: Floats, box: Floats) -> Floats:
    """Intersection over union of (count, 4) with one box; 0 where both have no area."""
    low, high = np.maximum(boxes[:, :2], box[:2]), np.minimum(boxes[:, 2:], box[2:])
    shared = np.clip(high - low, 0.0, None).prod(axis=1)
    union = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) + (box[2:] - box[:2]).prod() - shared
    return np.asarray(np.divide(shared, union, out=np.zeros_like(shared), where=union > 0), dtype=np.float32)


def distinct(found: Detections, *, most: int = MOST) -> Detections:
    """Best first, without boxes that a better one of the same class, or nearly the same one of any, already covers.

    Greedy non-maximum suppression; at most ``most`` are kept.
    """
    order = np.argsort(-found.scores, kind="stable")
    kept: list[int] = []
    while len(order) and len(kept) < most:
        best, order = int(order[0]), order[1:]
        kept.append(best)
        limit = np.where(found.classes[order] == found.classes[best], SAME_CLASS, ANY_CLASS)
        order = order[overlaps(found.boxes[order], found.boxes[best]) <= limit]
    return found.take(np.asarray(kept, dtype=np.int64))


def read_set(row: Floats, threshold: float) -> Detections:
    """DETR's queries: (queries, classes + 1 + 4), the last class is "no object", boxes are centre and size of 0..1.

    Each query names its likeliest class; those with scores above ``threshold`` in the order of the queries, which is
    the order of transformers' pipeline.
    """
    scores = ops.softmax(row[:, :-4])[:, :-1]
    classes = scores.argmax(axis=1)
    best = scores[np.arange(len(scores)), classes]
    found = Detections(corners(row[:, -4:]), classes, best)
    return found.take(found.scores > threshold)


def read_ranked(row: Floats, threshold: float) -> Detections:
    """RT-DETR's queries: (queries, classes + 4), the best ``queries`` of all pairs of query and class."""
    queries, classes = len(row), row.shape[1] - 4
    scores = ops.sigmoid(row[:, :-4]).reshape(-1)
    order = np.argsort(-scores, kind="stable")[:queries]
    found = Detections(corners(row[order // classes, -4:]), order % classes, scores[order])
    return found.take(found.scores > threshold)


def read_dense(row: Floats, threshold: float) -> Detections:
    """An anchor-free head's positions: (positions, classes + 4), boxes in pixels of the prepared picture."""
    scores = ops.sigmoid(row[:, :-4])
    places, classes = np.nonzero(scores > threshold)
    found = Detections(row[places, -4:], classes, scores[places, classes])
    if len(places) > CANDIDATES:
        found = found.take(np.argsort(-found.scores, kind="stable")[:CANDIDATES])
    return distinct(found)
