"""Words and colours for drawings: a font that is there, text that fits, ink that is read on any colour."""

from __future__ import annotations

import colorsys
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from PIL import ImageDraw, ImageFont

Colour = tuple[int, int, int]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

# Far apart in hue and lightness, the first ones also for those who do not tell red from green.
PALETTE: tuple[Colour, ...] = (
    (0, 114, 178),
    (230, 159, 0),
    (204, 51, 102),
    (0, 158, 115),
    (240, 228, 66),
    (120, 94, 240),
    (86, 180, 233),
    (213, 94, 0),
    (140, 200, 60),
    (150, 90, 50),
)
# The usual ones of Linux, macOS and Windows. Pillow's own has no letters beyond ASCII.
SYSTEM_FONTS = ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf", "Arial.ttf", "arial.ttf")


def colours_of(labels: Sequence[str]) -> dict[str, Colour]:
    """A colour for each different label, in the order given."""
    return {label: _colour(place) for place, label in enumerate(dict.fromkeys(labels))}


def _colour(place: int) -> Colour:
    if place < len(PALETTE):
        return PALETTE[place]
    hue = (place * 0.618034) % 1.0  # the golden ratio keeps neighbours apart however many there are
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.75, 0.95 if place % 2 else 0.65)
    return round(255 * red), round(255 * green), round(255 * blue)


def ink_on(colour: Colour) -> Colour:
    """Black or white, whichever is read better on ``colour`` (relative luminance of WCAG 2)."""
    parts = [(part / 255) / 12.92 if part <= 10 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in colour]
    luminance = 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]
    return (0, 0, 0) if luminance > 0.179 else (255, 255, 255)


@lru_cache(maxsize=32)
def font(size: int) -> Font:
    """A font of this machine, else the one that Pillow brings, ``size`` pixels high."""
    name = _system_font()
    return ImageFont.truetype(name, size) if name else ImageFont.load_default(size=size)


@lru_cache(maxsize=1)
def _system_font() -> str:
    for name in SYSTEM_FONTS:
        try:
            ImageFont.truetype(name, 10)
        except OSError:
            continue
        return name
    return ""


def readable(text: object) -> str:
    """``text`` in one line without control characters, in letters that the font has."""
    line = " ".join("".join(char if char.isprintable() else " " for char in str(text)).split())
    if _system_font() or line.isascii():
        return line
    plain = unicodedata.normalize("NFKD", line)
    return "".join(char if char.isascii() else "?" for char in plain if not unicodedata.combining(char))


def fitted(draw: ImageDraw.ImageDraw, text: str, size: int, width: float) -> str:
    """``text``, cut with an ellipsis so that it is at most ``width`` pixels wide."""
    text = text[:500]
    if draw.textlength(text, font(size)) <= width:
        return text
    while text and draw.textlength(text + "…", font(size)) > width:
        text = text[:-1]
    return text + "…"
