"""A picture with its objects as a detector sees it: as it is served, or in an augmented view, always the same one."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from adapters.datasets import Example
from adapters.training.detection.loss import Objects
from adapters.training.pictures.light import lit
from zoo.tasks.processors.image import EncodedImage, Preprocessing, open_picture, prepare

ZOOM = (0.5, 1.25)  # sides of the part that is shown, of the picture's; beyond 1 it has a border of mean colour
STRETCH = 0.15  # largest natural logarithm by which width and height are scaled apart
LIGHT = (0.7, 1.3)  # brightness, contrast and saturation
SEEN = 0.5  # an object of which less is left in the view is not asked for

Boxes = NDArray[np.float32]


class View:
    """One view of an example; number 0 is the picture as a client sends it. Pictures are decoded when asked for.

    ``objects`` are in pixels of the prepared picture; ``places`` gives the class of a label.
    """

    def __init__(self, example: Example, number: int, how: Preprocessing, places: dict[str, int]) -> None:
        self._example = example
        self._number = number
        self._how = how
        self._places = places

    def pixels(self) -> Tensor:
        """(3, height, width)."""
        encoded, boxes, kept = self._prepared()
        self.__dict__["objects"] = self._objects(encoded, boxes, kept)
        return torch.from_numpy(encoded.pixels)

    @cached_property
    def objects(self) -> Objects:
        """What there is to find."""
        return self._objects(*self._prepared())

    def _prepared(self) -> tuple[EncodedImage, Boxes, NDArray[np.int64]]:
        picture = open_picture(self._example.read("image"))
        boxes = corners(self._example)
        kept = np.arange(len(boxes))
        if self._number:
            draw = np.random.default_rng([self._example.row, self._number])
            picture, boxes, kept = augmented(picture, boxes, draw)
        return prepare(picture, self._how), boxes, kept

    def _objects(self, encoded: EncodedImage, boxes: Boxes, kept: NDArray[np.int64]) -> Objects:
        (height, width), inner = encoded.size, encoded.inner
        scale = np.asarray([inner[1] / width, inner[0] / height] * 2, dtype=np.float32)
        classes = [self._places[self._example.boxes[place].label] for place in kept]
        return Objects(torch.from_numpy(boxes * scale), torch.tensor(classes, dtype=torch.long))


def corners(example: Example) -> Boxes:
    """(count, 4): xmin, ymin, xmax, ymax of an example's boxes, in pixels of its picture."""
    rows = [(box.x, box.y, box.x + box.width, box.y + box.height) for box in example.boxes]
    return np.asarray(rows, dtype=np.float32).reshape(-1, 4)


def augmented(
    picture: NDArray[np.uint8], boxes: Boxes, draw: np.random.Generator
) -> tuple[NDArray[np.uint8], Boxes, NDArray[np.int64]]:
    """Another look at a picture (height, width, 3): a part of it, or more than it, mirrored and in other light.

    Boxes move with it and are cut at its borders. The third value tells which of them are left.
    """
    height, width = picture.shape[:2]
    zoom, stretch = draw.uniform(*ZOOM), math.exp(draw.uniform(-STRETCH, STRETCH))
    wide, high = max(8, round(width * zoom * stretch)), max(8, round(height * zoom / stretch))
    left, top = (_place(draw, length, part) for length, part in ((width, wide), (height, high)))
    ground = tuple(int(value) for value in picture.mean(axis=(0, 1)))
    canvas = Image.new("RGB", (wide, high), ground)
    canvas.paste(Image.fromarray(picture), (-left, -top))
    moved = boxes - np.asarray([left, top, left, top], dtype=np.float32)
    cut = np.clip(moved, 0, np.asarray([wide, high, wide, high], dtype=np.float32))
    kept = np.flatnonzero(_areas(cut) > SEEN * _areas(boxes))
    cut = cut[kept]
    if draw.random() < 0.5:
        canvas = canvas.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        cut = np.stack([wide - cut[:, 2], cut[:, 1], wide - cut[:, 0], cut[:, 3]], axis=1)
    return np.asarray(lit(canvas, [draw.uniform(*LIGHT) for _ in range(3)])), cut, kept


def _place(draw: np.random.Generator, length: int, part: int) -> int:
    """Where a part of a side begins; negative where it is longer than the side."""
    return round(draw.uniform(min(0, length - part), max(0, length - part)))


def _areas(boxes: Boxes) -> Boxes:
    return np.asarray((boxes[:, 2:] - boxes[:, :2]).prod(axis=1), dtype=np.float32)
