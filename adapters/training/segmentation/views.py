"""Augmented views of a picture and its mask: both are moved alike, only the picture changes its colours.

A view keeps the picture's size. Masks are resized by the nearest value, as class numbers have no means.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from adapters.training.pictures.light import lit

Bytes = NDArray[np.uint8]

IGNORED = 255  # value of a mask's pixels that no class is asked of
SCALE = (0.75, 1.6)  # below 1 the picture is shrunk and surrounded by its mean colour, above 1 it is cut
STRETCH = 0.12  # largest natural logarithm by which width and height are scaled apart
BRIGHTNESS, CONTRAST, SATURATION = (0.7, 1.3), (0.7, 1.3), (0.6, 1.4)


@dataclass(frozen=True)
class View:
    """One way to look at a picture of ``shape`` (height, width): scaled to ``size`` (width, height), laid at ``place``
    (x, y; negative where it is cut), mirrored or not, in other light. Never upside down, as the sky may be up."""

    shape: tuple[int, int]
    size: tuple[int, int]
    place: tuple[int, int]
    mirrored: bool
    light: tuple[float, float, float]

    @classmethod
    def drawn(cls, shape: tuple[int, int], draw: random.Random) -> View:
        """A random one."""
        height, width = shape
        scale = math.exp(draw.uniform(math.log(SCALE[0]), math.log(SCALE[1])))
        stretch = math.exp(draw.uniform(-STRETCH, STRETCH))
        size = (max(8, round(width * scale * stretch)), max(8, round(height * scale / stretch)))
        place = (int((width - size[0]) * draw.random()), int((height - size[1]) * draw.random()))
        light = (draw.uniform(*BRIGHTNESS), draw.uniform(*CONTRAST), draw.uniform(*SATURATION))
        return cls(shape, size, place, draw.random() < 0.5, light)

    def of_mask(self, mask: Bytes) -> Bytes:
        """(height, width) class numbers; what lies beside the picture is ignored."""
        laid = Image.new("L", self.shape[::-1], IGNORED)
        laid.paste(Image.fromarray(mask).resize(self.size, Image.Resampling.NEAREST), self.place)
        return np.asarray(self._turned(laid))

    def of_picture(self, picture: Bytes) -> Bytes:
        """(height, width, 3)."""
        ground = tuple(int(value) for value in picture.mean(axis=(0, 1)))
        laid = Image.new("RGB", self.shape[::-1], ground)
        laid.paste(Image.fromarray(picture).resize(self.size, Image.Resampling.BILINEAR), self.place)
        return np.asarray(lit(self._turned(laid), self.light))

    def _turned(self, laid: Image.Image) -> Image.Image:
        return laid.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if self.mirrored else laid
