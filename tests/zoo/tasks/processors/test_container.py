"""Files that are no picture, hold more than they say, or are damaged: refused, quickly and with little memory."""

from __future__ import annotations

import struct
import time
import tracemalloc
import zlib
from collections.abc import Callable

import numpy as np
import pytest

from tests.zoo.tasks.processors.picture_files import FRAME, PLAIN, chunk, file_of, gif, huge_png, jpeg_with, noise, png
from zoo.errors import InvalidInput, TooLarge, Unsupported
from zoo.tasks.processors.image import open_picture


@pytest.mark.parametrize(
    "data",
    [
        gif(FRAME, FRAME),
        gif(*[FRAME] * 10_000),
        file_of(noise(9, 9), "PNG", save_all=True, append_images=[noise(9, 9).rotate(90)]),
        file_of(noise(9, 9), "WEBP", save_all=True, append_images=[noise(9, 9).rotate(90)]),
        file_of(noise(9, 9), "TIFF"),
        file_of(noise(9, 9), "PDF"),
        file_of(noise(9, 9), "EPS"),
        file_of(noise(9, 9), "ICO"),
        file_of(noise(9, 9), "PPM"),
        file_of(noise(9, 9), "TGA"),
        b"SIMPLE  =                    T / FITS",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\0\0\0\x20ftypavif",
        b"just text",
        b"\x89PN",
    ],
    ids=[
        "gif",
        "gif-10000",
        "apng",
        "webp",
        "tiff",
        "pdf",
        "eps",
        "ico",
        "ppm",
        "tga",
        "fits",
        "svg",
        "avif",
        "text",
        "sig",
    ],
)
def test_animations_and_other_files_are_refused_by_their_bytes(data: bytes) -> None:
    started = time.perf_counter()
    with pytest.raises(Unsupported) as caught:
        open_picture(data)
    assert (caught.value.code, caught.value.param) == ("unsupported_image", "inputs")
    assert "send JPEG, PNG, WEBP, BMP or a GIF of one frame." in caught.value.message
    assert time.perf_counter() - started < 0.5


def test_a_bitmap_with_run_lengths_is_refused() -> None:
    data = bytearray(file_of(noise(9, 9).quantize(16), "BMP"))
    data[30] = 1
    with pytest.raises(Unsupported, match="run-length"):
        open_picture(bytes(data))


def huge_jpeg() -> bytes:
    data = bytearray(file_of(noise(8, 8), "JPEG"))
    place = data.index(b"\xff\xc0")
    data[place + 5 : place + 9] = struct.pack(">HH", 60_000, 60_000)
    return bytes(data)


@pytest.mark.parametrize(
    "make",
    [
        lambda: huge_png(20_000),
        lambda: huge_png(9_000),
        huge_jpeg,
        lambda: gif(FRAME, width=60_000, height=60_000),
        lambda: gif(b"," + struct.pack("<HHHH", 0, 0, 60_000, 60_000) + b"\0\x02\x02\x44\x01\0"),
        lambda: b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + b"\xfe\x3f\0\xfe\x3f\0",
        lambda: b"RIFF\x16\0\0\0WEBPVP8L\x0a\0\0\0\x2f" + b"\xff\xff\xff\x0f" + bytes(8),
        lambda: b"RIFF\x16\0\0\0WEBPVP8 \x0a\0\0\0\x10\0\0\x9d\x01\x2a\xff\x3f\xff\x3f",
        lambda: PLAIN["BMP"][:18] + struct.pack("<ii", 60_000, 60_000) + PLAIN["BMP"][26:],
    ],
    ids=["png-20000", "png-9000", "jpeg", "gif", "gif-frame", "webp", "webp-lossless", "webp-lossy", "bmp"],
)
def test_too_many_pixels_are_refused_before_any_is_decoded(make: Callable[[], bytes]) -> None:
    data = make()
    tracemalloc.start()
    try:
        started = time.perf_counter()
        with pytest.raises(TooLarge) as caught:
            open_picture(data)
        taken = time.perf_counter() - started
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()
    assert (caught.value.code, caught.value.param) == ("image_too_large", "inputs")
    assert "at most 50000000" in caught.value.message
    assert taken < 0.5


def flipped(data: bytes, before: bytes, offset: int) -> bytes:
    made = bytearray(data)
    made[made.index(before) + offset] ^= 1
    return bytes(made)


@pytest.mark.parametrize(
    "data",
    [
        *[made[: len(made) // 2] for made in PLAIN.values()],
        *[made[:30] for made in PLAIN.values()],
        *[PLAIN[kind][:-2] for kind in ("JPEG", "PNG", "WEBP", "BMP")],
        flipped(PLAIN["PNG"], b"IDAT", 100),
        flipped(PLAIN["PNG"], b"IEND", -5),
        flipped(PLAIN["PNG"], b"IHDR", 17),
        png(2, 2, b"\0\1"),
        png(0, 4, b""),
        png(4, 0, b""),
        gif(),
        gif(FRAME, width=0, height=0)[:20],
        png(2, 2, bytes(6), depth=3),
        b"\x89PNG\r\n\x1a\n" + chunk(b"IEND", b""),
        b"\xff\xd8\xff\xd9",
        b"",
    ],
)
def test_damaged_pictures_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput) as caught:
        open_picture(data)
    assert (caught.value.code, caught.value.param) == ("invalid_image", "inputs")
    assert len(caught.value.message) < 120


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP"])
def test_no_flipped_byte_raises_anything_else(kind: str) -> None:
    data, generator = PLAIN[kind], np.random.default_rng(3)
    refused = 0
    for _ in range(150):
        made = bytearray(data)
        for place in generator.integers(0, min(len(made), 400), 3):
            made[place] = generator.integers(0, 256)
        try:
            assert open_picture(bytes(made)).dtype == np.uint8
        except (InvalidInput, TooLarge, Unsupported):
            refused += 1
    assert refused > 0


def overlapping_exif() -> bytes:
    """2,700 entries of 30,000 bytes, all of the same place: 81 MB when each is copied."""
    entries = b"".join(struct.pack("<HHII", tag, 7, 30_000, 33_000) for tag in range(1, 2701) if tag != 274)
    body = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(entries) // 12) + entries + bytes(32_000)
    return b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body


@pytest.mark.parametrize(
    "data",
    [
        jpeg_with(overlapping_exif()),
        jpeg_with(b"\xff\xe1\0\x09Exif\0\0x" * 60_000),
        png(2, 2, bytes(6), *[chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1_000_000), 9))] * 60),
        png(2, 2, bytes(6), chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(90_000_000), 9))),
    ],
    ids=["exif-overlapping", "exif-segments", "png-text", "png-profile"],
)
def test_what_surrounds_the_pixels_costs_neither_memory_nor_time(data: bytes) -> None:
    tracemalloc.start()
    try:
        started = time.process_time()
        assert open_picture(data).shape[2] == 3
        assert time.process_time() - started < 2
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "data",
    [
        PLAIN["JPEG"][:-2] + PLAIN["JPEG"][PLAIN["JPEG"].index(b"\xff\xda") :] * 70,
        gif(b"!\xfe\0" * 300_000, FRAME),
        gif(b"!\xfe" + b"\x01a" * 300_000 + b"\0", FRAME),
        png(2, 2, bytes(6), chunk(b"teXt", b"") * 300_000),
        jpeg_with(b"\xff\xfe\0\x02" * 300_000),
    ],
    ids=["scans", "gif-extensions", "gif-blocks", "png-chunks", "jpeg-segments"],
)
def test_endless_files_are_refused_soon(data: bytes) -> None:
    started = time.process_time()
    with pytest.raises(InvalidInput, match="more than"):
        open_picture(data)
    assert time.process_time() - started < 2
