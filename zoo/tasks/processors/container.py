"""Picture files around their pixels: format, size, animation, EXIF. Read by hand, before Pillow sees anything.

Pillow reads all this too, but in Python, without bounds and before a caller learns the size: a JPEG of many tiny EXIF
segments is joined in quadratic time, overlapping EXIF entries are copied one by one, text of a PNG is unpacked. So each
reader here walks a bounded number of blocks and hands on only those that the pixels need.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from zoo.errors import InvalidInput, Unsupported

ACCEPTED = "JPEG, PNG, WEBP, BMP or a GIF of one frame"
# A picture of 25 MB has about 3,000 blocks as PNG, 100,000 as GIF; walking 200,000 takes 50 ms.
MAX_BLOCKS = 200_000
# Each scan of a progressive JPEG passes over the whole picture: for a black one of 4 megapixels it takes 14 bytes and
# 2.3 ms, so a file of 1 MB could take minutes. Encoders write about ten.
MAX_SCANS = 64


@dataclass(frozen=True)
class Container:
    """One picture file: ``data`` is what its pixels need, ``size`` (width, height), ``None`` where Pillow is to say.

    ``exif`` and ``xmp`` are as they stand in the file, and not checked.
    """

    kind: str
    data: bytes
    size: tuple[int, int] | None = None
    exif: bytes = b""
    xmp: bytes = b""


def open_container(data: bytes) -> Container:
    """``data``: a whole file. Raises ``Unsupported`` for other formats and animations, ``InvalidInput`` for damage."""
    try:
        return _reader(data)(data)
    except (struct.error, IndexError):
        raise unreadable("it is cut off") from None


def unreadable(why: str) -> InvalidInput:
    """The error for a picture of a known format that cannot be decoded."""
    return InvalidInput(f"The picture cannot be read: {why}.", code="invalid_image", param="inputs")


def _unsupported(what: str) -> Unsupported:
    return Unsupported(f"{what}: send {ACCEPTED}.", code="unsupported_image", param="inputs")


def _reader(data: bytes) -> Callable[[bytes], Container]:
    """By the first bytes; raises ``Unsupported``."""
    for signature, reader in _READERS.items():
        if data.startswith(signature):
            return reader
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp
    if data[4:8] == b"ftyp":
        raise _unsupported("This looks like AVIF, HEIC or a film")
    for signature, name in _OTHERS.items():
        if data.startswith(signature):
            raise _unsupported(f"This looks like {name}")
    raise _unsupported("This is no picture of a known format")


def _png(data: bytes) -> Container:
    """Checksums of what is kept are checked, as Pillow skips those of pixels (PNG, 3rd edition, section 5)."""
    kept, exif, xmp = [data[:8]], b"", b""
    view, place = memoryview(data), 8
    for _ in range(MAX_BLOCKS):
        length, name = struct.unpack_from(">I4s", data, place)
        body, end = place + 8, place + 8 + length
        if name in _PNG_KEPT:
            if view[end : end + 4] != zlib.crc32(view[place + 4 : end]).to_bytes(4, "big"):
                raise unreadable("a checksum is wrong, or it is cut off")
            kept.append(data[place : end + 4])
        elif name == b"acTL" and data[body : body + 4] > b"\x00\x00\x00\x01":
            raise _unsupported("Animations are not read")
        elif name == b"eXIf":
            exif = data[body:end]
        elif name == b"iTXt" and data.startswith(b"XML:com.adobe.xmp\x00", body):
            xmp = data[body:end]
        if name == b"IEND":
            width, height = struct.unpack_from(">II", data, 16)
            return Container("PNG", b"".join(kept), (width, height), exif, xmp)
        place = end + 4
    raise unreadable(f"it has more than {MAX_BLOCKS} chunks")


def _jpeg(data: bytes) -> Container:
    """Application segments are left out but for JFIF's and Adobe's, which say what the colours mean."""
    if data.count(b"\xff\xda") > MAX_SCANS:
        raise unreadable(f"it has more than {MAX_SCANS} scans")
    kept, exif, xmp, place = [data[:2]], b"", b"", 2
    for _ in range(MAX_BLOCKS):
        place = data.find(b"\xff", place)
        if place < 0:
            break
        marker = data[place + 1]
        if marker in _JPEG_EMPTY:
            place += 1 if marker == 0xFF else 2
            continue
        if marker in (0xD9, 0xDA):
            return Container("JPEG", b"".join([*kept, data[place:]]), None, exif, xmp)
        (length,) = struct.unpack_from(">H", data, place + 2)
        body, end = place + 4, place + 2 + length
        if marker == 0xE1:
            exif = exif or (data[body:end] if data.startswith(b"Exif\x00", body) else b"")
            xmp = xmp or (data[body:end] if data.startswith(b"http://ns.adobe.com/xap", body) else b"")
        if marker not in _JPEG_LEFT_OUT:
            kept.append(data[place:end])
        place = end
    raise unreadable(f"it is cut off, or has more than {MAX_BLOCKS} segments")


def _gif(data: bytes) -> Container:
    """Blocks up to a second frame, if there is one (GIF89a specification)."""
    width, height = struct.unpack_from("<HH", data, 6)
    place, frames = 13 + _gif_colours(data[10]), 0
    for _ in range(MAX_BLOCKS):
        if place >= len(data) or data[place] == 0x3B:
            return Container("GIF", data, (width, height))
        if data[place] == 0x2C:
            frames += 1
            if frames > 1:
                raise _unsupported("Animations are not read")
            left, top, across, down = struct.unpack_from("<4H", data, place + 1)
            width, height = max(width, left + across), max(height, top + down)
            place = _gif_data(data, place + 11 + _gif_colours(data[place + 9]))
        elif data[place] == 0x21:
            place = _gif_data(data, place + 2)
        else:
            place += 1
    raise unreadable(f"it has more than {MAX_BLOCKS} blocks")


def _gif_data(data: bytes, place: int) -> int:
    """Where the chain of data blocks that begins at ``place`` is over."""
    for _ in range(MAX_BLOCKS):
        if place >= len(data) or data[place] == 0:
            return place + 1
        place += data[place] + 1
    raise unreadable(f"it has more than {MAX_BLOCKS} blocks")


def _gif_colours(flags: int) -> int:
    """Bytes of the colour table that the flags announce."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _webp(data: bytes) -> Container:
    """The size in the first chunk, extended, lossless or lossy: Pillow allocates the canvas when it opens one."""
    name = data[12:16]
    if name == b"VP8X" and data[20] & 2 and data.count(b"ANMF") > 1:
        raise _unsupported("Animations are not read")
    if name == b"VP8X":
        size = int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    elif name == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        size = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        width, height = struct.unpack_from("<HH", data, 26)
        size = width & 0x3FFF, height & 0x3FFF
    return Container("WEBP", data, size)


def _bmp(data: bytes) -> Container:
    """Run-length coding is refused: Pillow undoes it in Python, and 60 bytes of it kept it busy for seconds."""
    header, compression = *struct.unpack_from("<I", data, 14), *struct.unpack_from("<I", data, 30)
    if header >= 40 and compression in (1, 2):
        raise _unsupported("BMP with run-length coding is not read")
    return Container("BMP", data)


_READERS = {
    b"\xff\xd8\xff": _jpeg,
    b"\x89PNG\r\n\x1a\n": _png,
    b"GIF87a": _gif,
    b"GIF89a": _gif,
    b"BM": _bmp,
}
_JPEG_EMPTY = (0x00, 0x01, *range(0xD0, 0xD9), 0xFF)  # no marker, or one without a length
_JPEG_LEFT_OUT = (*range(0xE1, 0xEE), 0xEF, 0xFE)  # application data but for Adobe's, comments
_PNG_KEPT = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_OTHERS = {
    b"%PDF": "a PDF",
    b"II*\x00": "a TIFF",
    b"MM\x00*": "a TIFF",
    b"%!PS": "PostScript",
    b"SIMPLE  =": "FITS",
    b"8BPS": "a Photoshop file",
    b"PK\x03\x04": "a zip archive",
    b"<": "SVG, HTML or XML",
    b"\x00\x00\x01\x00": "an icon",
}
