"""Many small pictures on one sheet, each with a line of text below it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from api.drawing import Picture
from api.lettering import Colour, fitted, font, readable

SIDE, GAP, LETTERS = 144, 12, 15  # pixels: of a picture, between pictures, of the letters
LINE = 20
GROUND, INK = (255, 255, 255), (20, 24, 22)
RIGHT, WRONG = (0, 120, 80), (190, 30, 45)


@dataclass(frozen=True)
class Cell:
    """A picture (height, width, 3), what is said of it, and whether that is right, where it is known."""

    picture: Picture
    lines: tuple[str, ...]
    right: bool | None = None


def contact_sheet(cells: Sequence[Cell], *, title: str = "", columns: int = 6) -> Image.Image:
    """All ``cells`` in rows; text and frame are green where ``right``, red where not."""
    columns = max(1, min(columns, len(cells)))
    most = max((len(cell.lines) for cell in cells), default=0)
    wide, high = SIDE + GAP, SIDE + most * LINE + GAP
    head = GAP + (LINE + GAP if title else 0)
    rows = -(-len(cells) // columns)
    sheet = Image.new("RGB", (GAP + columns * wide, head + rows * high), GROUND)
    draw = ImageDraw.Draw(sheet)
    if title:
        draw.text((GAP, GAP), fitted(draw, readable(title), LETTERS, sheet.width - 2 * GAP), INK, font(LETTERS))
    for place, cell in enumerate(cells):
        left, top = GAP + place % columns * wide, head + place // columns * high
        _paste(sheet, cell, left, top)
        colour = _colour(cell)
        draw.rectangle((left, top, left + SIDE - 1, top + SIDE - 1), outline=colour, width=2)
        for number, line in enumerate(cell.lines):
            at = (left, top + SIDE + 4 + number * LINE)
            draw.text(at, fitted(draw, readable(line), LETTERS, SIDE), colour, font(LETTERS))
    return sheet


def _paste(sheet: Image.Image, cell: Cell, left: int, top: int) -> None:
    """The picture in its own proportions in the middle of its square."""
    small = Image.fromarray(np.ascontiguousarray(cell.picture))
    factor = SIDE / max(small.size)
    how = Image.Resampling.NEAREST if factor >= 2 else Image.Resampling.LANCZOS
    small = small.resize((max(1, round(small.width * factor)), max(1, round(small.height * factor))), how)
    sheet.paste(small, (left + (SIDE - small.width) // 2, top + (SIDE - small.height) // 2))


def _colour(cell: Cell) -> Colour:
    return INK if cell.right is None else RIGHT if cell.right else WRONG
