"""The pictures of `zoo demo vision`: road signs in rough weather, drawn here, so that they may be given to anybody.

Six kinds; each picture has one sign, small, turned, squeezed, in part behind something, on a ground of its own, dark or
bright, blurred and noisy. The same seed draws the same pictures.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

Colour = tuple[int, int, int]
Sketch = Callable[[ImageDraw.ImageDraw], None]

SIDE = 192  # pixels of a finished picture
TILE = 256  # pixels of a sign before it is turned and made smaller
SMALLEST, LARGEST = 0.24, 0.46  # a sign's share of the side
RED, WHITE, BLACK, BLUE, YELLOW = (190, 25, 35), (245, 245, 245), (20, 20, 20), (20, 70, 160), (250, 205, 20)


def draw_sign(label: str, rng: np.random.Generator) -> bytes:
    """One picture of a kind of sign, as the bytes of a JPEG file."""
    picture = _ground(rng)
    sign = _turned(_tile(SKETCHES[label]), rng)
    left, top = (int(rng.integers(0, SIDE - size + 1)) for size in sign.size)
    picture.paste(sign, (left, top), sign)
    _in_front(picture, (left, top, left + sign.width, top + sign.height), rng)
    written = io.BytesIO()
    _weathered(picture, rng).save(written, "JPEG", quality=int(rng.integers(60, 90)))
    return written.getvalue()


def write_set(folder: Path, *, each: int, seed: int) -> list[tuple[str, Path]]:
    """``each`` pictures of every kind, ``folder/label/01.jpg``; all labels and paths, in random order."""
    rng = np.random.default_rng(seed)
    made: list[tuple[str, Path]] = []
    for label in LABELS:
        (folder / label).mkdir(parents=True, exist_ok=True)
        for number in range(1, each + 1):
            path = folder / label / f"{number:02d}.jpg"
            path.write_bytes(draw_sign(label, rng))
            made.append((label, path))
    return [made[place] for place in rng.permutation(len(made))]


def _tile(sketch: Sketch) -> Image.Image:
    tile = Image.new("RGBA", (TILE, TILE))
    sketch(ImageDraw.Draw(tile))
    return tile


def _around(corners: int, radius: float, turn: float = 0.0) -> list[tuple[float, float]]:
    """Corners of a regular shape around the middle of the tile; the first one is at the top."""
    angles = [2 * math.pi * place / corners + turn for place in range(corners)]
    return [(TILE / 2 + radius * math.sin(angle), TILE / 2 - radius * math.cos(angle)) for angle in angles]


def _stop(draw: ImageDraw.ImageDraw) -> None:
    for radius, colour in ((126, WHITE), (116, RED)):
        draw.polygon(_around(8, radius, math.pi / 8), colour)
    for left in (58, 96, 134, 172):  # four letters, from afar
        draw.rectangle((left, 100, left + 26, 156), WHITE)
        draw.rectangle((left + 9, 112, left + 17, 146), RED)


def _no_entry(draw: ImageDraw.ImageDraw) -> None:
    draw.ellipse((2, 2, 254, 254), WHITE)
    draw.ellipse((12, 12, 244, 244), RED)
    draw.rectangle((48, 104, 208, 152), WHITE)


def _triangle(draw: ImageDraw.ImageDraw, turn: float) -> None:
    for radius, colour in ((126, WHITE), (118, RED), (66, WHITE)):
        draw.polygon(_around(3, radius, turn), colour)


def _yield(draw: ImageDraw.ImageDraw) -> None:
    _triangle(draw, math.pi)


def _danger(draw: ImageDraw.ImageDraw) -> None:
    _triangle(draw, 0.0)
    draw.rectangle((120, 92, 136, 138), BLACK)
    draw.ellipse((119, 144, 137, 162), BLACK)


def _no_stopping(draw: ImageDraw.ImageDraw) -> None:
    draw.ellipse((2, 2, 254, 254), RED)
    draw.ellipse((32, 32, 224, 224), BLUE)
    for ends in ((60, 60, 196, 196), (60, 196, 196, 60)):
        draw.line(ends, RED, 28)


def _priority(draw: ImageDraw.ImageDraw) -> None:
    for radius, colour in ((126, BLACK), (120, WHITE), (88, YELLOW)):
        draw.polygon(_around(4, radius), colour)


SKETCHES: dict[str, Sketch] = {
    "danger": _danger,
    "no-entry": _no_entry,
    "no-stopping": _no_stopping,
    "priority": _priority,
    "stop": _stop,
    "yield": _yield,
}
LABELS = tuple(SKETCHES)


def _turned(tile: Image.Image, rng: np.random.Generator) -> Image.Image:
    """The sign as it hangs there: squeezed as if seen from the side, turned by up to 25 degrees, and small."""
    size = round(SIDE * rng.uniform(SMALLEST, LARGEST))
    squeezed = tile.resize((max(8, round(size * rng.uniform(0.55, 1.0))), size), Image.Resampling.LANCZOS)
    return squeezed.rotate(rng.uniform(-25, 25), Image.Resampling.BICUBIC, expand=True)


def _ground(rng: np.random.Generator) -> Image.Image:
    """Sky over land, with houses, trees and patches of any colour."""
    top, bottom = (rng.integers(60, 230, 3).astype(float) for _ in range(2))
    share = np.linspace(0, 1, SIDE)[:, None, None] ** rng.uniform(0.5, 2.0)
    pixels = np.broadcast_to(top * (1 - share) + bottom * share, (SIDE, SIDE, 3))
    picture = Image.fromarray(pixels.astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    for _ in range(int(rng.integers(12, 26))):
        _patch(draw, rng, largest=70)
    return picture


def _patch(draw: ImageDraw.ImageDraw, rng: np.random.Generator, *, largest: int) -> None:
    x, y = (int(value) for value in rng.integers(-20, SIDE, 2))
    width, height = (int(value) for value in rng.integers(6, largest, 2))
    area, colour = (x, y, x + width, y + height), _any_colour(rng)
    kind = int(rng.integers(4))
    if kind == 0:
        draw.rectangle(area, colour)
    elif kind == 1:
        draw.ellipse(area, colour)
    elif kind == 2:
        draw.polygon([(x, y + height), (x + width // 2, y), (x + width, y + height)], colour)
    else:
        draw.line(area, colour, int(rng.integers(2, 9)))


def _any_colour(rng: np.random.Generator) -> Colour:
    red, green, blue = (int(part) for part in rng.integers(20, 235, 3))
    return red, green, blue


def _in_front(picture: Image.Image, area: tuple[int, int, int, int], rng: np.random.Generator) -> None:
    """Branches before the sign: thin lines and a leaf, that leave most of it to be seen."""
    draw = ImageDraw.Draw(picture)
    left, top, right, bottom = area
    for _ in range(int(rng.integers(0, 4))):
        ends = [int(rng.integers(low, high)) for low, high in ((left, right), (top, bottom)) * 2]
        draw.line(ends, _any_colour(rng), int(rng.integers(1, 4)))
    if rng.random() < 0.5:
        x, y = int(rng.integers(left, right)), int(rng.integers(top, bottom))
        size = max(3, (right - left) // 4)
        draw.ellipse((x - size // 2, y - size // 2, x + size // 2, y + size // 2), _any_colour(rng))


def _weathered(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Blur, light, contrast and noise."""
    picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.0, 1.4)))
    picture = ImageEnhance.Brightness(picture).enhance(rng.uniform(0.45, 1.25))
    picture = ImageEnhance.Contrast(picture).enhance(rng.uniform(0.5, 1.2))
    noise = rng.normal(0, rng.uniform(3, 16), (SIDE, SIDE, 3))
    return Image.fromarray(np.clip(np.asarray(picture) + noise, 0, 255).astype(np.uint8))
