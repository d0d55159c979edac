"""What a segmenter should answer to a picture: in training on the network's grid, in figures at the picture's own size.

A grid cell of the network covers several pixels. Its target is the share that each class has of them, so that the
border, where two logits are equal after resizing, can lie between cells.
"""

from __future__ import annotations

import base64
import io
import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

from adapters.training.segmentation.views import IGNORED
from zoo.tasks.processors.image import Preprocessing

Classes = NDArray[np.uint8]


@dataclass(frozen=True)
class Frame:
    """Where a picture lies in the network's input: its own ``size`` was drawn on the ``inner`` part of ``network``.

    All are (height, width); the inner part begins at the top left, the rest is padding.
    """

    size: tuple[int, int]
    inner: tuple[int, int]
    network: tuple[int, int]

    @classmethod
    def of(cls, size: tuple[int, int], how: Preprocessing) -> Frame:
        """That of a picture of this size; ``how`` prepares all pictures to one size, without cropping."""
        assert how.fixed is not None and how.resize is not None and how.crop is None
        return cls(size, how.resize.of(*size), how.fixed)


@dataclass(frozen=True)
class MaskTarget:
    """``packed`` is the mask at the network's input size, compressed: a thousand pictures would fill the memory.

    ``own`` reads the mask of the picture as it was sent, (height, width) class numbers; 255 is ignored in both.
    """

    packed: bytes
    frame: Frame
    own: Callable[[], Classes]

    @classmethod
    def made(cls, mask: Classes, frame: Frame, own: Callable[[], Classes]) -> MaskTarget:
        """From the mask of one view, (height, width) class numbers, resized by the nearest value."""
        laid = np.full(frame.network, IGNORED, dtype=np.uint8)
        height, width = frame.inner
        laid[:height, :width] = np.asarray(Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST))
        return cls(zlib.compress(laid.tobytes(), 1), frame, own)

    @property
    def mask(self) -> Tensor:
        """(height, width) of the network's input, uint8."""
        return torch.frombuffer(bytearray(zlib.decompress(self.packed)), dtype=torch.uint8).view(self.frame.network)


def shares(targets: Sequence[MaskTarget], classes: int, grid: tuple[int, int]) -> Tensor:
    """(rows, classes, h, w): how much of each cell belongs to each class; what is ignored belongs to none."""
    masks = torch.stack([target.mask for target in targets]).long()
    asked = masks < classes
    one_hot = functional.one_hot(masks.where(asked, torch.zeros_like(masks)), classes) * asked.unsqueeze(-1)
    return functional.adaptive_avg_pool2d(one_hot.permute(0, 3, 1, 2).float(), grid)


def at_own_size(logits: Tensor, frame: Frame) -> Tensor:
    """One row of logits (classes, h, w) resized to the picture's own size by torch itself, padding cut away."""
    for axis in (1, 2):
        logits = _stretched(logits, axis, frame.size[axis - 1], frame.inner[axis - 1] / frame.network[axis - 1])
    return logits


def own_classes(logits: Tensor, frame: Frame) -> NDArray[np.int64]:
    """The winning class of every pixel of the picture, (height, width), the first among equals.

    One class at a time: all of them at the size of a photograph would be gigabytes.
    """
    best = at_own_size(logits[:1], frame)[0]
    classes = torch.zeros(best.shape, dtype=torch.long)
    for place in range(1, len(logits)):
        other = at_own_size(logits[place : place + 1], frame)[0]
        classes[other > best] = place
        best = torch.maximum(best, other)
    return classes.numpy()


def _stretched(logits: Tensor, axis: int, length: int, share: float) -> Tensor:
    """One axis to ``length``, of which the first ``share`` shows the picture."""
    covered = share * logits.shape[axis]
    kept = logits.narrow(axis, 0, math.ceil(covered - 1e-9)).unsqueeze(0)
    other = kept.shape[4 - axis]
    if abs(covered - kept.shape[axis + 1]) < 1e-9:
        size = (length, other) if axis == 1 else (other, length)
        return functional.interpolate(kept, size=size, mode="bilinear", align_corners=False)[0]
    # The last cell is covered in part: a step of the resized axis is then no whole fraction of the cells that are kept.
    factor = length / covered
    factors = (factor, 1.0) if axis == 1 else (1.0, factor)
    wide = functional.interpolate(
        kept, scale_factor=factors, mode="bilinear", align_corners=False, recompute_scale_factor=False
    )
    return wide[0].narrow(axis, 0, length)


def served_map(body: Any, labels: Sequence[str], size: tuple[int, int]) -> NDArray[np.int64] | None:
    """The class of every pixel (height, width) that a served answer states, -1 where it states none.

    None for an answer of another form: unknown labels, masks that are no PNG of mode L and that size, or that overlap.
    """
    found = np.full(size, -1, dtype=np.int64)
    for one in body:
        with Image.open(io.BytesIO(base64.b64decode(one["mask"], validate=True))) as picture:
            mask = np.asarray(picture)
        if one["label"] not in labels or mask.shape != size or not np.isin(mask, (0, 255)).all():
            return None
        inside = mask == 255
        if (found[inside] != -1).any():
            return None
        found[inside] = labels.index(one["label"])
    return found
