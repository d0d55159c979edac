"""Augmented views of a picture for classification: a part of it, mirrored, in other light."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from adapters.training.pictures.light import lit

Bytes = NDArray[np.uint8]

AREA = (0.35, 1.0)  # share of the picture that a view shows
SHAPE = math.log(4 / 3)  # largest natural logarithm of what the view's proportions differ by
LIGHT = (0.75, 1.25)  # factors of brightness, contrast and saturation


@dataclass(frozen=True)
class View:
    """One way to look at a picture: the part ``area`` at ``place`` (shares of what is spare), turned and lit.

    ``turns`` are quarter turns, ``mirrored`` swaps left and right.
    """

    area: float
    shape: float
    place: tuple[float, float]
    mirrored: bool
    turns: int
    light: tuple[float, float, float]

    @classmethod
    def drawn(cls, draw: random.Random, *, turning: bool) -> View:
        """A random one; ``turning`` also by quarter turns, for pictures without an up and a down."""
        area, shape = draw.uniform(*AREA), math.exp(draw.uniform(-SHAPE, SHAPE))
        place = (draw.random(), draw.random())
        mirrored, turns = draw.random() < 0.5, draw.randrange(4) if turning else 0
        light = (draw.uniform(*LIGHT), draw.uniform(*LIGHT), draw.uniform(*LIGHT))
        return cls(area, shape, place, mirrored, turns, light)

    def of(self, picture: Bytes) -> Bytes:
        """(height, width, 3) to the view's (height, width, 3), of the part's own size."""
        height, width = picture.shape[:2]
        wide = min(width, max(1, round(math.sqrt(height * width * self.area * self.shape))))
        high = min(height, max(1, round(math.sqrt(height * width * self.area / self.shape))))
        left, top = round((width - wide) * self.place[0]), round((height - high) * self.place[1])
        part = np.rot90(picture[top : top + high, left : left + wide], self.turns)
        seen = Image.fromarray(np.ascontiguousarray(part[:, ::-1] if self.mirrored else part))
        return np.asarray(lit(seen, self.light))
