"""From a grid of logits to one mask for each class, at the size of the picture that was sent; numpy and Pillow only.

Resizing is bilinear with half-pixel centres and without antialiasing, as torch's ``interpolate`` does it
(``align_corners=False``), so that the masks are those of transformers' post-processing. A resize is linear and acts on
rows and columns apart: it is kept as one weight matrix for each axis, and of two resizes as the product of theirs.
"""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from zoo.tasks import ops

Floats = NDArray[np.float32]
Classes = NDArray[np.uint16]

TILE = 256  # side of the squares that are worked on at once: 150 classes of one take 39 MB, and most drop out early


def weights(target: int, source: int, *, scale: float | None = None) -> Floats:
    """(target, source): row i holds how much of each source value goes into value i of the resized axis.

    ``scale`` is the step in the source for one step in the target; source / target unless given. float32 throughout:
    torch computes positions in it, and at thousands of pixels float64 gives other weights in the fifth digit.
    """
    step = np.float32(source / target if scale is None else scale)
    at = np.maximum((np.arange(target, dtype=np.float32) + np.float32(0.5)) * step - np.float32(0.5), np.float32(0))
    low = np.minimum(at.astype(np.int64), source - 1)
    high = np.minimum(low + 1, source - 1)
    part = np.clip(at - low.astype(np.float32), np.float32(0), np.float32(1))
    made = np.zeros((target, source), dtype=np.float32)
    places = np.arange(target)
    made[places, low] = np.float32(1) - part
    made[places, high] += part
    return made


@dataclass(frozen=True)
class Axis:
    """One axis of a picture on its way through a network.

    ``picture`` pixels as sent were drawn on ``inner`` of the ``network``'s pixels (the rest is padding behind them),
    which answered with ``grid`` values. With ``via_input`` the network's own code resizes its logits to its input size
    before anyone else resizes them further.
    """

    picture: int
    inner: int
    network: int
    grid: int
    via_input: bool = False

    def weights(self) -> Floats:
        """(picture, grid) of the whole way back; what lies in the padding has no say."""
        if self.via_input:
            back = weights(self.picture, self.inner, scale=self.inner / self.picture)
            return np.asarray(back @ weights(self.network, self.grid)[: self.inner], dtype=np.float32)
        covered = math.ceil(self.inner * self.grid / self.network)
        back = weights(self.picture, covered, scale=self.inner * self.grid / (self.network * self.picture))
        return np.pad(back, ((0, 0), (0, self.grid - covered)))


@dataclass(frozen=True)
class Segmentation:
    """The class of every pixel (height, width), and the mean probability of each class over the pixels it has won."""

    classes: Classes
    scores: dict[int, float]


def segment(logits: Floats, rows: Floats, columns: Floats) -> Segmentation:
    """The class with the highest resized logit at every pixel, the first among equals.

    ``logits`` (classes, h, w); ``rows`` (height, h) and ``columns`` (width, w) as from ``Axis.weights``. Probabilities
    are the softmax on the grid, resized likewise. Memory beyond the answer is bounded by the tile, not the picture.
    """
    count = len(logits)
    probabilities = np.moveaxis(ops.softmax(np.moveaxis(logits, 0, -1)), -1, 0)
    chosen = np.empty((len(rows), len(columns)), dtype=np.uint16)
    pixels, sums = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.float64)
    for top in range(0, len(rows), TILE):
        for left in range(0, len(columns), TILE):
            tile = (slice(top, top + TILE), slice(left, left + TILE))
            down, vertical = _support(rows[tile[0]])
            across, horizontal = _support(columns[tile[1]])
            within = (slice(None), vertical, horizontal)
            winners = _winners(logits[within], down, across.T)
            chosen[tile] = winners
            for place in np.unique(winners).tolist():
                mask = winners == place
                pixels[place] += int(mask.sum())
                spread = down @ probabilities[within][place] @ across.T
                sums[place] += float(spread[mask].sum(dtype=np.float64))
    present = np.flatnonzero(pixels).tolist()
    return Segmentation(chosen, {place: min(1.0, float(sums[place] / pixels[place])) for place in present})


def _support(part: Floats) -> tuple[Floats, slice]:
    """Some rows of a weight matrix without the columns that are zero in all of them, and where those that stay lie."""
    used = np.flatnonzero(part.any(axis=0))
    within = slice(int(used[0]), int(used[-1]) + 1)
    return part[:, within], within


def _winners(logits: Floats, down: Floats, across: Floats) -> Classes:
    """The winning class of each pixel of a tile.

    A resized value lies between the least and the largest that it is made of. So a class whose largest is below the
    least of another wins nowhere, and is not resized: of 150 classes a tile of a street keeps about three.
    """
    least, largest = logits.min(axis=(1, 2)), logits.max(axis=(1, 2))
    able = np.flatnonzero(largest >= least.max())
    best = down @ logits[able[0]] @ across
    winners = np.full(best.shape, able[0], dtype=np.uint16)
    for place in able[1:]:
        other = down @ logits[place] @ across
        better = other > best
        winners[better] = place
        np.copyto(best, other, where=better)
    return winners


def png(mask: NDArray[np.bool_]) -> str:
    """A mask as plain base64 of a PNG, mode L, 255 inside and 0 outside."""
    buffer = io.BytesIO()
    Image.fromarray(mask.view(np.uint8) * np.uint8(255)).save(buffer, format="PNG", compress_level=3)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
