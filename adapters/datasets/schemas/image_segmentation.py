"""Image segmentation: a picture and a mask of its size whose values are class numbers."""

from __future__ import annotations

from adapters.datasets.schema import Schema

SCHEMA = Schema(
    task="image-segmentation",
    needs="a zip with the folders images and masks (PNG, value = class number) and the names in classes.json",
    layouts=("masks",),
    medium="image",
    annotation="mask",
    roles=(),
)
