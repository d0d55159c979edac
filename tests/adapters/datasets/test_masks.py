"""Masks in every depth of a PNG."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from adapters.datasets.pictures import open_mask
from tests.adapters.datasets.zips import saved

VALUES = np.array([[0, 1], [1, 0]], dtype=np.uint8)


def grey_png(rows: list[bytes], width: int, depth: int) -> bytes:
    """A PNG of one channel with so many bits a pixel, rows packed by the caller."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">2I5B", width, len(rows), depth, 0, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def palette() -> bytes:
    picture = Image.fromarray(VALUES).convert("P")
    picture.putdata(VALUES.ravel().tolist())
    picture.putpalette([200, 30, 30, 10, 250, 10] + [0] * 762)
    return saved(picture)


@pytest.mark.parametrize(
    "data",
    [
        saved(Image.fromarray(VALUES)),
        palette(),
        grey_png([b"\x40", b"\x80"], 2, 1),
        grey_png([b"\x10", b"\x40"], 2, 2),
        grey_png([b"\x01", b"\x10"], 2, 4),
        grey_png([b"\0\0\0\1", b"\0\1\0\0"], 2, 16),
    ],
    ids=["8-bits", "palette", "1-bit", "2-bits", "4-bits", "16-bits"],
)
def test_values_are_class_numbers_in_every_depth(data: bytes) -> None:
    found = open_mask(data)
    assert found.dtype == np.uint8
    assert found.tolist() == VALUES.tolist()


def test_the_palette_s_index_counts_as_it_is_written() -> None:
    assert Image.open(io.BytesIO(palette())).mode == "P"
    assert open_mask(palette()).max() == 1
