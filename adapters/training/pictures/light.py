"""Pictures in other light: the part of augmentation that leaves everything where it is."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageEnhance

_KINDS = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)


def lit(picture: Image.Image, factors: Sequence[float]) -> Image.Image:
    """The picture with brightness, contrast and saturation multiplied by ``factors``, in this order."""
    for kind, factor in zip(_KINDS, factors, strict=True):
        picture = kind(picture).enhance(float(factor))
    return picture
