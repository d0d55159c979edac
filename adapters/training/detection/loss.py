"""Which position of a dense detector answers for which object, and what its answer costs.

Positions near an object's centre, on the level that suits its size, learn its class and box (FCOS, Tian et al., 2019);
the score that they learn is how much their box overlaps the object's (quality focal loss, Li et al., 2020).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

RADIUS = 1.5  # strides around an object's centre
REACH = 6.0  # strides from a position to the far side of its object, beyond which the next level takes over
BOX_WEIGHT = 2.0
FOCUS = 2.0  # exponent of the focal weight


@dataclass(frozen=True)
class Objects:
    """The objects of one picture: boxes (count, 4) as xmin, ymin, xmax, ymax in prepared pixels, and their classes."""

    boxes: Tensor
    classes: Tensor


def overlap(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """IoU and generalised IoU (Rezatofighi et al., 2019) of boxes (..., 4), pair by pair."""
    low, high = torch.maximum(one[..., :2], other[..., :2]), torch.minimum(one[..., 2:], other[..., 2:])
    shared = (high - low).clamp(min=0).prod(dim=-1)
    area = (one[..., 2:] - one[..., :2]).prod(dim=-1) + (other[..., 2:] - other[..., :2]).prod(dim=-1)
    union = (area - shared).clamp(min=1e-6)
    outer = torch.maximum(one[..., 2:], other[..., 2:]) - torch.minimum(one[..., :2], other[..., :2])
    around = outer.prod(dim=-1).clamp(min=1e-6)
    iou = shared / union
    return iou, iou - (around - union) / around


def assign(points: Tensor, objects: Objects) -> Tensor:
    """(positions,): the object that each position answers for, or -1. ``points`` as ``fcos.grid`` gives them.

    Of several objects at a position the smallest wins. An object too small to hold any position gets the nearest one of
    its level.
    """
    count = len(objects.boxes)
    if count == 0:
        return torch.full((len(points),), -1)
    boxes = objects.boxes.unsqueeze(0)
    place, stride = points[:, None, :2], points[:, None, 2]
    sides = torch.cat([place - boxes[..., :2], boxes[..., 2:] - place], dim=-1)
    furthest = sides.amax(dim=-1)
    strides = torch.unique(points[:, 2])  # ascending
    lower = torch.where(stride > strides.min(), stride / 2 * REACH, torch.zeros(()))
    upper = torch.where(stride < strides.max(), stride * REACH, torch.full((), torch.inf))
    suits = (furthest > lower) & (furthest <= upper)
    offset = (place - (boxes[..., :2] + boxes[..., 2:]) / 2).abs().amax(dim=-1)
    inside = (sides.amin(dim=-1) > 0) & (offset < RADIUS * stride)
    chosen = suits & inside
    missed = torch.nonzero(~chosen.any(dim=0)).flatten()
    if len(missed):
        # Half the longer side is how far the far side is from the centre.
        far = (boxes[0, missed, 2:] - boxes[0, missed, :2]).amax(dim=-1) / 2
        level = (far > strides[:-1, None] * REACH).sum(dim=0)
        away = offset[:, missed].masked_fill(points[:, 2:] != strides[level], torch.inf)
        chosen[away.argmin(dim=0), missed] = True
    area = (boxes[..., 2:] - boxes[..., :2]).prod(dim=-1)
    smallest = area.expand_as(chosen).masked_fill(~chosen, torch.inf)
    least, owner = smallest.min(dim=1)
    return owner.masked_fill(torch.isinf(least), -1)


def detection_loss(outputs: Tensor, targets: Sequence[Objects], points: Tensor) -> Tensor:
    """A scalar from (batch, positions, classes + 4) and the objects of each picture."""
    logits, boxes = outputs[..., :-4], outputs[..., -4:]
    quality = torch.zeros_like(logits)
    parts: list[Tensor] = []
    weight = outputs.new_zeros(())
    for row, objects in enumerate(targets):
        owner = assign(points, objects)
        places = torch.nonzero(owner >= 0).flatten()
        if not len(places):
            continue
        owners = owner[places]
        iou, generalised = overlap(boxes[row, places], objects.boxes[owners])
        fit = iou.detach().clamp(min=0)
        quality[row, places, objects.classes[owners]] = fit
        # Positions whose box fits better count more, but none is left out before it has learnt anything.
        share = fit.clamp(min=0.1)
        parts.append(((1 - generalised) * share).sum())
        weight = weight + share.sum()
    scores = logits.sigmoid()
    cross = functional.binary_cross_entropy_with_logits(logits, quality, reduction="none")
    scored = (cross * (scores - quality).abs().pow(FOCUS)).sum()
    fitted = torch.stack(parts).sum() if parts else boxes.sum() * 0.0
    return (scored + BOX_WEIGHT * fitted) / weight.clamp(min=1.0)
