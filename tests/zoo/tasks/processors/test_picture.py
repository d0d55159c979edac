"""Pictures to upright RGB: every kind of pixel, every turn, bytes and base64."""

from __future__ import annotations

import base64
import struct
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.zoo.tasks.processors.picture_files import chunk, file_of, huge_png, noise, png
from zoo.errors import InvalidInput, TooLarge
from zoo.tasks.processors.image import SAMPLE, open_picture

RED, BLUE, WHITE, BLACK = (255, 0, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "WEBP", "GIF"])
def test_pixels_come_out_as_they_went_in(kind: str) -> None:
    options: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {}
    picture = noise(37, 23).quantize(16).convert("RGB") if kind == "GIF" else noise(37, 23)
    opened = open_picture(file_of(picture, kind, **options))
    assert (opened.dtype, opened.shape) == (np.dtype("uint8"), (37, 23, 3))
    np.testing.assert_array_equal(opened, np.asarray(picture))


def test_a_jpeg_is_decoded_as_pillow_does_it() -> None:
    data = file_of(noise(37, 23), "JPEG")
    with Image.open(BytesIO(data)) as picture:
        np.testing.assert_array_equal(open_picture(data), np.asarray(picture))


def test_of_a_stereo_picture_the_first_is_taken() -> None:
    data = file_of(noise(16, 24), "MPO", save_all=True, append_images=[noise(8, 8)])
    assert open_picture(data).shape == (16, 24, 3)


def layered(mode: str) -> Image.Image:
    picture = Image.new("RGBA", (3, 1))
    for place, pixel in enumerate([(255, 0, 0, 255), (0, 0, 0, 0), (0, 0, 0, 128)]):
        picture.putpixel((place, 0), pixel)
    return picture.convert(mode)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (file_of(layered("RGBA"), "PNG"), [RED, WHITE, (127, 127, 127)]),
        (file_of(layered("RGBA"), "WEBP", lossless=True, exact=True), [RED, WHITE, (127, 127, 127)]),
        (file_of(layered("LA"), "PNG"), [(76, 76, 76), WHITE, (127, 127, 127)]),
        (
            png(3, 1, b"\0\0\1\2", chunk(b"PLTE", bytes(RED + BLUE + BLACK)), chunk(b"tRNS", b"\xff\0\x80"), colour=3),
            [RED, WHITE, (127, 127, 127)],
        ),
        (png(2, 1, b"\0\x07\x08", chunk(b"tRNS", b"\0\x07")), [WHITE, (8, 8, 8)]),
        (png(2, 1, b"\0" + bytes(RED + BLUE), chunk(b"tRNS", b"\0\xff\0\0\0\0"), colour=2), [WHITE, BLUE]),
        (file_of(Image.frombytes("P", (2, 1), b"\0\1"), "GIF", transparency=1), [BLACK, WHITE]),
    ],
    ids=["rgba", "webp", "grey-alpha", "palette-alphas", "grey-key", "colour-key", "gif"],
)
def test_what_is_transparent_lies_on_white(data: bytes, expected: list[tuple[int, int, int]]) -> None:
    np.testing.assert_allclose(open_picture(data)[0], expected, atol=1)


@pytest.mark.parametrize(
    ("picture", "kind", "expected"),
    [
        (Image.new("L", (1, 1), 77), "PNG", (77, 77, 77)),
        (Image.new("1", (1, 1), 1), "PNG", WHITE),
        (Image.new("RGB", (1, 1), BLUE).quantize(4), "PNG", BLUE),
        (Image.new("L", (8, 8), 77), "JPEG", (77, 77, 77)),
        (Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", (254, 0, 0)),
        (Image.new("L", (1, 1), 77), "BMP", (77, 77, 77)),
    ],
    ids=["grey", "bits", "palette", "grey-jpeg", "cmyk", "grey-bmp"],
)
def test_other_colours_become_rgb(picture: Image.Image, kind: str, expected: tuple[int, int, int]) -> None:
    np.testing.assert_allclose(open_picture(file_of(picture, kind))[0, 0], expected, atol=1)


def test_sixteen_bits_are_scaled_and_not_clipped() -> None:
    deep = png(5, 1, b"\0" + struct.pack(">5H", 0, 128, 257, 32768, 65535), depth=16)
    np.testing.assert_array_equal(open_picture(deep)[0, :, 0], [0, 0, 1, 128, 255])
    keyed = png(2, 1, b"\0" + struct.pack(">2H", 300, 514), chunk(b"tRNS", struct.pack(">H", 300)), depth=16)
    np.testing.assert_array_equal(open_picture(keyed)[0, :, 0], [255, 2])
    colours = png(1, 1, b"\0" + struct.pack(">3H", 65535, 32896, 0), chunk(b"tRNS", bytes(6)), depth=16, colour=2)
    np.testing.assert_array_equal(open_picture(colours)[0, 0], [255, 128, 0])


def exif(turn: int) -> bytes:
    made = Image.Exif()
    made[0x0112] = turn
    return made.tobytes()


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG"])
@pytest.mark.parametrize(
    ("turn", "corner", "shape"),
    [
        (1, "top left", (24, 16)),
        (2, "top right", (24, 16)),
        (3, "bottom right", (24, 16)),
        (4, "bottom left", (24, 16)),
        (5, "top left", (16, 24)),
        (6, "top right", (16, 24)),
        (7, "bottom right", (16, 24)),
        (8, "bottom left", (16, 24)),
    ],
)
def test_a_picture_is_turned_upright(kind: str, turn: int, corner: str, shape: tuple[int, int]) -> None:
    picture = np.zeros((24, 16, 3), dtype=np.uint8)
    picture[:8, :8] = RED
    opened = open_picture(file_of(Image.fromarray(picture), kind, exif=exif(turn), quality=95))
    assert opened.shape == (*shape, 3)
    corners = {
        f"{row} {column}": opened[y, x, 0]
        for row, y in (("top", 1), ("bottom", -2))
        for column, x in (("left", 1), ("right", -2))
    }
    assert [name for name, red in corners.items() if red > 200] == [corner]


def test_a_turn_that_only_xmp_names_is_made() -> None:
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    for kind in ("JPEG", "WEBP"):
        assert open_picture(file_of(noise(24, 16), kind, xmp=xmp)).shape == (16, 24, 3)
    text = chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp)
    assert open_picture(png(1, 2, bytes(4), text)).shape == (1, 2, 3)


@pytest.mark.parametrize(
    "broken",
    [
        exif(0),
        exif(9),
        exif(6)[:20],
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\0" * 12,
        b"Exif\0\0nonsense",
    ],
    ids=["zero", "nine", "cut", "beyond", "endless", "nonsense"],
)
def test_broken_exif_turns_nothing(broken: bytes) -> None:
    assert open_picture(file_of(noise(24, 16), "JPEG", exif=broken)).shape == (24, 16, 3)


def test_a_photograph_of_sixteen_megapixels_is_read() -> None:
    assert open_picture(huge_png(4_000)).shape == (4_000, 4_000, 3)


def test_too_many_bytes_are_refused() -> None:
    for item in (b"BM" + bytes(25_000_000), "A" * 40_000_000):
        with pytest.raises(TooLarge) as caught:
            open_picture(item)
        assert caught.value.code == "image_too_large"


def test_base64_is_read_plain_wrapped_and_as_a_data_url() -> None:
    plain = base64.b64encode(SAMPLE).decode()
    lines = base64.encodebytes(SAMPLE).decode().replace("\n", "\r\n")
    for text in (plain, lines, f"data:image/png;base64,{plain}", f"data:image/svg+xml;base64,{plain}"):
        np.testing.assert_array_equal(open_picture(text), open_picture(SAMPLE))


@pytest.mark.parametrize(
    "text",
    [
        "iVBORw0KGgo",
        "iVBORw0KGg=",
        "iVBORw0K*goA",
        "iVBORw0K-_oA",
        "iVBO Rw0K",
        "caf\u00e9",
        "data:text/html;base64,PGh0bWw+",
        "data:image/png,iVBORw0KGgoA",
        "data:image/png;base64",
        "data:" + "x" * 1_000_000,
        "a" * 1_000_001,
    ],
    ids=[
        "unpadded",
        "half-padded",
        "star",
        "url-safe",
        "blank",
        "accent",
        "html",
        "no-base64",
        "no-data",
        "long",
        "odd",
    ],
)
def test_bad_base64_is_named_as_such(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        open_picture(text)
    assert (caught.value.code, caught.value.param) == ("invalid_base64", "inputs")
    assert len(caught.value.message) < 160


@pytest.mark.parametrize("url", ["http://127.0.0.1/a.png", "https://example.com/a.png", "HTTPS://example.com"])
def test_a_url_is_not_fetched(url: str) -> None:
    with pytest.raises(InvalidInput, match="fetches nothing") as caught:
        open_picture(url)
    assert caught.value.code == "url_not_allowed"


@pytest.mark.parametrize("item", [None, 7, 1.5, True, {"image": "x"}, ["x"], "", "data:image/png;base64,"])
def test_what_is_no_picture_at_all_is_refused(item: object) -> None:
    with pytest.raises(InvalidInput) as caught:
        open_picture(item)
    assert caught.value.param == "inputs"
    assert caught.value.code == ("invalid_image" if isinstance(item, str) else "invalid_request")


def test_several_threads_get_the_pictures_of_one() -> None:
    files = [file_of(noise(120 + turn, 90), kind) for turn in range(8) for kind in ("JPEG", "PNG", "WEBP", "GIF")]
    expected: list[NDArray[np.uint8]] = [open_picture(data) for data in files]
    with ThreadPoolExecutor(8) as pool:
        for opened, other in zip(pool.map(open_picture, files * 4), expected * 4, strict=True):
            np.testing.assert_array_equal(opened, other)
