"""Pictures as they are sent, bytes or base64, to upright RGB pixels."""

from __future__ import annotations

import base64
import re
import struct
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from zoo.errors import TooLarge, ZooError
from zoo.tasks.processors.container import Container, open_container, unreadable
from zoo.tasks.processors.sent import Sent

MAX_PIXELS = 50_000_000
MAX_BYTES = 25_000_000
SAMPLE: bytes = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAGUlEQVR42mNkYGhQYWDARCwMKgxYweCUAACHmwKWKHHObgAAAABJRU5ErkJggg=="
)
_SENT = Sent("picture", "image", MAX_BYTES, too_large="image_too_large", invalid="invalid_image")

# Named one by one, so that no other plug-in ever runs and Image.open warns of nothing.
_PLUGINS: dict[str, type[ImageFile.ImageFile]] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "WEBP": WebPImageFile,
    "BMP": BmpImageFile,
    "GIF": GifImageFile,
}
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def open_picture(item: object) -> NDArray[np.uint8]:
    """A picture as (height, width, 3) RGB, upright, what is transparent on white.

    ``item``: bytes of a file, or its base64 (also as a ``data:image/…`` URL). Raises ``Unsupported`` for other kinds of
    file and for animations, ``TooLarge`` above ``MAX_PIXELS`` or ``MAX_BYTES``, else ``InvalidInput``. Thread-safe.
    """
    return np.asarray(decode(item), dtype=np.uint8)


def decode(item: object) -> Image.Image:
    """As ``open_picture``, but a Pillow image of mode RGB."""
    container = open_container(_SENT.read(item))
    try:
        if container.size is not None:
            _check_size(container.size)
        picture = _PLUGINS[container.kind](BytesIO(container.data))
        _check_size(picture.size)
        picture.load()
        if container.kind == "PNG" and picture.mode == "RGB" and container.data[24] == 16:
            picture.info.pop("transparency", None)  # a colour of 16 bits, and the pixels have 8 by now
        return _upright(_rgb(picture), container, picture.info)
    except ZooError:
        raise
    except Exception as error:  # struct.error, SyntaxError, EOFError, OverflowError, …: a plug-in may raise anything
        raise unreadable("it is damaged or cut off") from error


def _check_size(size: tuple[int, int]) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise unreadable("it has no pixels")
    if width * height > MAX_PIXELS:
        message = f"The picture has {width} x {height} pixels; at most {MAX_PIXELS} are read. Save it smaller."
        raise TooLarge(message, code="image_too_large", param="inputs")


def _rgb(picture: Image.Image) -> Image.Image:
    """Mode RGB on white ground."""
    if picture.mode.startswith("I"):
        return _from_deep_grey(picture)
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    layer = picture.convert("RGBA")
    ground = Image.new("RGB", picture.size, "white")
    ground.paste(layer, mask=layer)
    return ground


def _from_deep_grey(picture: Image.Image) -> Image.Image:
    """16 bits to 8, scaled: Pillow's own conversion clips at 255."""
    grey = np.asarray(picture).astype(np.uint32)
    shades = ((grey + 128) // 257).astype(np.uint8)
    if "transparency" in picture.info:
        shades[grey == picture.info["transparency"]] = 255
    return Image.fromarray(shades).convert("RGB")


def _upright(picture: Image.Image, container: Container, info: dict[str | tuple[int, int], object]) -> Image.Image:
    """Turned as the camera says in EXIF or, failing that, in XMP; what is broken there turns nothing."""
    exif, xmp = container.exif or info.get("exif"), container.xmp or info.get("xmp")
    turn = _orientation(exif) if isinstance(exif, bytes) else None
    if turn is None and isinstance(xmp, bytes):
        found = re.search(rb'tiff:Orientation(?:="|>)([1-8])', xmp)
        turn = int(found[1]) if found else None
    return picture.transpose(_TURNS[turn]) if turn in _TURNS else picture


def _orientation(exif: bytes) -> int | None:
    """Tag 274 of the first directory (TIFF 6.0, section 2), ``None`` without one. Reads nothing else."""
    body = exif.removeprefix(b"Exif\x00\x00")
    order = {b"II*\x00": "<", b"MM\x00*": ">"}.get(body[:4])
    if order is None:
        return None
    try:
        (start,) = struct.unpack_from(f"{order}I", body, 4)
        (count,) = struct.unpack_from(f"{order}H", body, start)
        for place in range(start + 2, start + 2 + 12 * count, 12):
            tag, size = struct.unpack_from(f"{order}HH", body, place)
            if tag == 274:
                return int(struct.unpack_from(f"{order}{'I' if size == 4 else 'H'}", body, place + 8)[0])
    except struct.error:
        return None
    return None
