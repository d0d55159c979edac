"""Whether a served answer names the objects that a dense detector's outputs hold, told without the code that serves.

The served answer is checked against what has to be true of it rather than made again: every object in it is a position
of the outputs, none covers another of its class, and no position that scores above the threshold was left out unless a
better one covers it. What lies within the tolerance of a decision may go either way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from adapters.training.detection.loss import overlap

SCORE = 1e-3
PIXELS = 1.0
SHARED = 0.01  # of an overlap
THRESHOLD = 0.5  # of a request without parameters
SAME_CLASS, ANY_CLASS = 0.6, 0.85
MOST = 300


@dataclass(frozen=True)
class Sight:
    """How a picture lies in the prepared one: its (height, width), and those of its part there, from 0, 0 on."""

    size: tuple[int, int]
    inner: tuple[int, int]


def agrees(output: Tensor, body: object, labels: Sequence[str], sight: Sight) -> bool:
    """``output`` (positions, classes + 4) against a served list of ``{"label", "score", "box"}``."""
    served = _read(body, labels)
    if served is None:
        return False
    scores = output[:, :-4].sigmoid()
    boxes = _in_picture(output[:, -4:], sight)
    matched: list[tuple[int, int]] = []
    for place, score, box in served:
        position = _position(scores[:, place], boxes, score, box)
        if position is None or (position, place) in matched:
            return False
        matched.append((position, place))
    values = [score for _, score, _ in served]
    if any(score < THRESHOLD - SCORE for score in values) or values != sorted(values, reverse=True):
        return False
    prepared = output[:, -4:].float()
    return _apart(prepared, matched) and (len(served) >= MOST or _complete(scores, prepared, matched))


def _read(body: object, labels: Sequence[str]) -> list[tuple[int, float, Tensor]] | None:
    """Class, score and box of each served object, or None for another form or a name that is no class."""
    if not isinstance(body, list):
        return None
    found: list[tuple[int, float, Tensor]] = []
    for one in body:
        if not isinstance(one, Mapping) or one.get("label") not in labels:
            return None
        box = torch.tensor([float(one["box"][side]) for side in ("xmin", "ymin", "xmax", "ymax")])
        found.append((list(labels).index(one["label"]), float(one["score"]), box))
    return found


def _in_picture(boxes: Tensor, sight: Sight) -> Tensor:
    """Boxes in pixels of the picture that was sent, cut at its borders."""
    (height, width), (tall, wide) = sight.size, sight.inner
    scaled = boxes.float() * torch.tensor([width / wide, height / tall] * 2)
    return torch.minimum(scaled.clamp(min=0), torch.tensor([float(width), float(height)] * 2))


def _position(scores: Tensor, boxes: Tensor, score: float, box: Tensor) -> int | None:
    """The position that a served object is, by its score and, of equal ones, by its box."""
    near = torch.nonzero((scores - score).abs() <= SCORE).flatten()
    if not len(near):
        return None
    # Served are whole pixels, cut off: on average half a pixel less.
    away = (boxes[near] - box - 0.5).abs().amax(dim=1)
    best = int(away.argmin())
    return int(near[best]) if float(away[best]) <= PIXELS + 0.5 else None


def _apart(boxes: Tensor, matched: Sequence[tuple[int, int]]) -> bool:
    """Whether no object covers another."""
    for at, (position, place) in enumerate(matched):
        for other, other_place in matched[:at]:
            shared, _ = overlap(boxes[position], boxes[other])
            if float(shared) > (SAME_CLASS if place == other_place else ANY_CLASS) + SHARED:
                return False
    return True


def _complete(scores: Tensor, boxes: Tensor, matched: Sequence[tuple[int, int]]) -> bool:
    """Whether every position above the threshold is served, or covered by a served one that scores no less."""
    for position, place in torch.nonzero(scores > THRESHOLD + SCORE).tolist():
        if (position, place) in matched:
            continue
        mine = float(scores[position, place])
        if not any(
            float(scores[other, other_place]) >= mine - SCORE
            and float(overlap(boxes[position], boxes[other])[0])
            >= (SAME_CLASS if place == other_place else ANY_CLASS) - SHARED
            for other, other_place in matched
        ):
            return False
    return True
