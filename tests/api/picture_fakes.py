"""Stand-ins for picture models: they look at a picture's size and mean colour. And pictures to show them."""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from zoo.errors import InvalidInput, TooLarge, Unsupported

OPTIONS = {
    "image-classification": {"top_k", "function_to_apply"},
    "object-detection": {"threshold"},
    "image-segmentation": {"threshold", "mask_threshold", "overlap_mask_area_threshold", "subtask"},
}
MOST_PIXELS = 1_000_000


def picture(colour: str = "red", size: tuple[int, int] = (30, 20), form: str = "PNG") -> bytes:
    """A picture of one colour, ``size`` as (width, height)."""
    written = io.BytesIO()
    Image.new("RGB", size, colour).save(written, form)
    return written.getvalue()


def mask(size: tuple[int, int], box: tuple[int, int, int, int]) -> str:
    """A mask as the service gives it: base64 of a grey PNG that is white inside ``box``."""
    made = Image.new("L", size, 0)
    made.paste(255, box)
    written = io.BytesIO()
    made.save(written, "PNG")
    return base64.b64encode(written.getvalue()).decode()


def look(item: object, task: str, parameters: Mapping[str, Any]) -> Any:
    """The answer of a model that knows three colours; the errors are those of real picture tasks."""
    if unknown := set(parameters) - OPTIONS[task]:
        raise InvalidInput("Unknown parameter.", code="unknown_field", param=f"parameters.{min(unknown)}")
    seen = _opened(item)
    means = [float(mean) for mean in np.asarray(seen).mean(axis=(0, 1))]
    scores = [round(mean / (sum(means) or 1), 3) for mean in means]
    ranked = sorted(zip(("red", "green", "blue"), scores, strict=True), key=lambda pair: -pair[1])
    if task == "image-classification":
        named = [{"label": label, "score": score} for label, score in ranked]
        return named[: parameters.get("top_k", len(named))]
    if ranked[0][1] < parameters.get("threshold", 0.5):
        return []
    width, height = seen.size
    best: dict[str, Any] = {"label": ranked[0][0], "score": ranked[0][1]}
    if task == "object-detection":
        return [best | {"box": {"xmin": 1, "ymin": 2, "xmax": width, "ymax": height}}]
    return [best | {"mask": mask((width, height), (0, 0, width // 2, height))}]


def _opened(item: object) -> Image.Image:
    try:
        content = item if isinstance(item, bytes) else base64.b64decode(str(item), validate=True)
    except binascii.Error:
        raise InvalidInput("This is no base64.", code="invalid_base64", param="inputs") from None
    try:
        opened = Image.open(io.BytesIO(content))
    except UnidentifiedImageError:
        raise Unsupported("No picture of a known kind.", code="unsupported_image", param="inputs") from None
    if opened.width * opened.height > MOST_PIXELS:
        raise TooLarge("The picture is too large.", code="image_too_large", param="inputs")
    try:
        return opened.convert("RGB")
    except OSError:
        raise InvalidInput("The picture is cut short.", code="invalid_image", param="inputs") from None
