"""Writes small zips of drawn pictures."""

from __future__ import annotations

import io
import json
import random
import struct
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

Files = Mapping[str, bytes | str]


def picture(seed: int, width: int = 24, height: int = 16, kind: str = "PNG") -> bytes:
    """A picture of noise; the same seed and size give the same pixels."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return saved(Image.fromarray(pixels), kind)


def mask(rows: list[list[int]], width: int = 24, height: int = 16) -> bytes:
    """A grey PNG of a small grid of values, each repeated to fill the size."""
    grid = np.array(rows, dtype=np.uint8)
    up = np.kron(grid, np.ones((height // grid.shape[0], width // grid.shape[1]), dtype=np.uint8))
    return saved(Image.fromarray(up), "PNG")


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """The bytes of a file."""
    target = io.BytesIO()
    image.save(target, kind, **options)
    return target.getvalue()


def pack(files: Files, *, method: int = zipfile.ZIP_STORED) -> bytes:
    """A zip with these entries, in this order."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, compress_type=method)
    return target.getvalue()


def classes(per_class: int = 3, names: tuple[str, ...] = ("cat", "dog"), under: str = "") -> dict[str, bytes | str]:
    """A folder of pictures for each class; no two are alike."""
    return {
        f"{under}{name}/{place}.png": picture(1000 * number + place)
        for number, name in enumerate(names)
        for place in range(per_class)
    }


def coco(
    boxes: Mapping[str, list[tuple[int, list[float]]]], names: tuple[str, ...] = ("cat", "dog"), **changes: Any
) -> str:
    """A document with pictures in the order given, and boxes as (number of the class from 1, [x, y, w, h])."""
    document: dict[str, Any] = {
        "images": [{"id": place, "file_name": name} for place, name in enumerate(boxes, 1)],
        "annotations": [
            {"image_id": place, "category_id": category, "bbox": values}
            for place, found in enumerate(boxes.values(), 1)
            for category, values in found
        ],
        "categories": [{"id": number, "name": name} for number, name in enumerate(names, 1)],
    }
    return json.dumps(document | changes)


def detection(count: int = 4) -> dict[str, bytes | str]:
    """Pictures of 24 x 16 with a box each."""
    boxes = {f"{place}.png": [(1 + place % 2, [2.0, 3.0, 10.0, 8.0])] for place in range(count)}
    pictures: dict[str, bytes | str] = {f"images/{name}": picture(place) for place, name in enumerate(boxes)}
    return pictures | {"annotations.json": coco(boxes)}


def segmentation(count: int = 3) -> dict[str, bytes | str]:
    """Pictures with masks of background and nucleus."""
    files: dict[str, bytes | str] = {"classes.json": '["background", "nucleus"]'}
    for place in range(count):
        files[f"images/{place}.png"] = picture(place)
        files[f"masks/{place}.png"] = mask([[0, 1], [0, 0]])
    return files


def raw_zip(entries: list[tuple[bytes, bytes, int, int]], *, offsets: list[int] | None = None) -> bytes:
    """A zip of deflated (name, packed bytes, declared size, checksum), with these offsets in its table."""
    body, table, places = bytearray(), b"", []
    for name, packed, size, checksum in entries:
        places.append(len(body))
        body += struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 8, 0, 33, checksum, len(packed), size, len(name), 0)
        body += name + packed
    for (name, packed, size, checksum), place in zip(entries, offsets or places, strict=True):
        head = (b"PK\1\2", 20, 20, 0, 8, 0, 33, checksum, len(packed), size, len(name), 0, 0, 0, 0, 0, place)
        table += struct.pack("<4s6H3L5H2L", *head) + name
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, len(entries), len(entries), len(table), len(body), 0)
    return bytes(body) + table + end


def many_entries(count: int) -> bytes:
    """A table of contents of so many empty entries, with the long form of its end."""
    names = [b"%07d.png" % place for place in range(count)]
    body = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 0, 0, 33, 0, 0, 0, len(names[0]), 0) + names[0]
    head = struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, 20, 0, 0, 0, 33, 0, 0, 0, len(names[0]), 0, 0, 0, 0, 0, 0)
    table = b"".join(head + name for name in names)
    start = len(body)
    end64 = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, len(table), start)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, start + len(table), 1)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return body + table + end64 + locator + end


def deflated(mebibytes: int) -> bytes:
    """So many MiB of zeros packed a thousandfold: one MiB, over and over."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    piece = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return piece * mebibytes + packer.flush()


def shuffled(files: Files, seed: int) -> dict[str, bytes | str]:
    """The same entries in another order."""
    names = list(files)
    random.Random(seed).shuffle(names)
    return {name: files[name] for name in names}
