"""Pictures to the floats that a model takes, with Pillow and numpy alone: one resize on bytes, then one table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from zoo.errors import InvalidInput
from zoo.tasks.processors.picture import MAX_PIXELS, SAMPLE, decode, open_picture
from zoo.tasks.processors.preprocessing import Crop, Exact, Fit, Preprocessing, Shortest, ShortestLongest
from zoo.tasks.task import Array

__all__ = [
    "MAX_PIXELS",
    "SAMPLE",
    "Crop",
    "EncodedImage",
    "Exact",
    "Fit",
    "ImageProcessor",
    "Preprocessing",
    "Shortest",
    "ShortestLongest",
    "open_picture",
    "prepare",
    "stacked",
]

MAX_PREPARED = 4096 * 4096  # pixels after resizing; a strip of 1 x 50,000 would become 256 x 12,800,000


@dataclass(frozen=True)
class EncodedImage:
    """A prepared picture: ``pixels`` (3, height, width) float32.

    ``size`` is (height, width) of the upright picture that was sent, ``inner`` that of its part of ``pixels``, which
    begins at the top left; the rest is padding.
    """

    pixels: NDArray[np.float32]
    size: tuple[int, int]
    inner: tuple[int, int]
    truncated: bool = False

    @property
    def cost(self) -> int:
        """Pixels, padding included: what a batch is measured by."""
        return int(self.pixels.shape[1] * self.pixels.shape[2])


class ImageProcessor:
    """What turns the pictures of a request into the input of one model. Stateless and thread-safe."""

    def __init__(self, how: Preprocessing) -> None:
        self.how = how

    def encode(self, item: object) -> EncodedImage:
        """One picture, as bytes or base64; raises as ``open_picture`` and ``prepare`` do."""
        return _prepare(decode(item), self.how)


def prepare(picture: NDArray[np.uint8], how: Preprocessing) -> EncodedImage:
    """A picture (height, width, 3) as ``how`` says; raises ``InvalidInput`` where it is too narrow for that."""
    return _prepare(Image.fromarray(np.ascontiguousarray(picture)), how)


def stacked(batch: Sequence[EncodedImage]) -> dict[str, Array]:
    """Pictures of one shape as the input ``pixel_values`` (batch, 3, height, width)."""
    return {"pixel_values": np.stack([item.pixels for item in batch])}


def _prepare(picture: Image.Image, how: Preprocessing) -> EncodedImage:
    width, height = picture.size
    resized = how.resize.of(height, width) if how.resize is not None else (height, width)
    if min(resized) < 1 or (how.crop is None and resized[0] * resized[1] > MAX_PREPARED):
        message = f"The picture of {width} x {height} pixels is too narrow for this model: crop it."
        raise InvalidInput(message, code="invalid_image", param="inputs")
    shape = how.fixed or resized
    if how.crop is not None:
        shown = _cropped(picture, resized, how.crop, how.resample)
    else:
        shown = np.asarray(picture.resize(resized[::-1], _FILTERS[how.resample]))
    inner = shape if how.crop is not None else resized
    pixels = np.zeros((3, *shape), dtype=np.float32)
    for channel, table in enumerate(_tables(how)):
        table.take(shown[:, :, channel], out=pixels[channel, : inner[0], : inner[1]], mode="clip")
    return EncodedImage(pixels, (height, width), inner)


def _cropped(picture: Image.Image, resized: tuple[int, int], crop: Crop, resample: str) -> NDArray[np.uint8]:
    """The crop of the resized picture, (crop height, crop width, 3)."""
    top, left = crop.offset(resized[0], crop.height), crop.offset(resized[1], crop.width)
    upper, lower = max(top, 0), min(top + crop.height, resized[0])
    start, end = max(left, 0), min(left + crop.width, resized[1])
    if resized[0] * resized[1] <= MAX_PREPARED:
        shown = picture.resize(resized[::-1], _FILTERS[resample]).crop((start, upper, end, lower))
    else:  # only what is shown; a shifted box moves some values by one, so not where it can be had exactly
        across, down = picture.width / resized[1], picture.height / resized[0]
        right = picture.width if end == resized[1] else end * across
        bottom = picture.height if lower == resized[0] else lower * down
        box = (start * across, upper * down, right, bottom)
        shown = picture.resize((end - start, lower - upper), _FILTERS[resample], box)
    if shown.size == (crop.width, crop.height):
        return np.asarray(shown)
    ground = np.zeros((crop.height, crop.width, 3), dtype=np.uint8)
    ground[upper - top : lower - top, start - left : end - left] = np.asarray(shown)
    return ground


def _tables(how: Preprocessing) -> NDArray[np.float32]:
    """(3, 256): the float of each of the 256 values of each channel, in the precision of transformers' processors."""
    scaled = (np.arange(256, dtype=np.float64) * how.rescale).astype(np.float32)
    mean, std = (np.asarray(values, dtype=np.float32)[:, None] for values in (how.mean, how.std))
    return np.asarray((scaled - mean) / std, dtype=np.float32)


_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "lanczos": Image.Resampling.LANCZOS,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "box": Image.Resampling.BOX,
    "hamming": Image.Resampling.HAMMING,
}
