"""Masks as they are uploaded: a PNG of one channel whose values are class numbers."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL.PngImagePlugin import PngImageFile

from zoo.errors import InvalidInput, TooLarge, Unsupported, ZooError
from zoo.tasks.processors.image import MAX_PIXELS

IGNORED_VALUE = 255
_GREY, _PALETTE = 0, 3  # the kinds of PNG with one channel
_DEPTH, _KIND = 24, 25  # places of these bytes in every PNG


def open_mask(data: bytes) -> NDArray[np.uint8]:
    """Class numbers (height, width). A palette's indices count, not its colours; 1, 2 and 4 bits are read as they are.

    Raises ``Unsupported`` (unsupported_mask) for other files than PNG, ``InvalidInput`` (mask_channels) for colours,
    (mask_value) for 16 bits with values above 255, (invalid_mask) for a damaged file, ``TooLarge`` (image_too_large).
    """
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        message = "the mask is no PNG; other formats change values when they save"
        raise Unsupported(message, code="unsupported_mask")
    try:
        with PngImageFile(BytesIO(data)) as picture:
            if data[_KIND] not in (_GREY, _PALETTE):
                message = "the mask has colours; it has to have one channel with the number of the class"
                raise InvalidInput(message, code="mask_channels")
            if picture.width * picture.height > MAX_PIXELS:
                message = f"the mask has {picture.width} x {picture.height} pixels; at most {MAX_PIXELS:,} are read"
                raise TooLarge(message, code="image_too_large")
            picture.verify()  # checksums and end, which loading passes over
        with PngImageFile(BytesIO(data)) as picture:
            values = np.asarray(picture)
    except ZooError:
        raise
    except Exception as error:  # a plug-in may raise anything
        raise InvalidInput("the mask cannot be read: it is damaged or cut off", code="invalid_mask") from error
    if data[_KIND] == _GREY and data[_DEPTH] in (2, 4):
        values = values // (85 if data[_DEPTH] == 2 else 17)  # Pillow spreads them over 0 to 255
    if values.size and int(values.max()) > IGNORED_VALUE:
        message = f"the mask has 16 bits and the value {int(values.max())}; class numbers go up to {IGNORED_VALUE}"
        raise InvalidInput(message, code="mask_value")
    return values.astype(np.uint8)
