"""Answers drawn over the picture that was asked about: boxes, masks and labels that a person can read at any size."""

from __future__ import annotations

import base64
import binascii
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, UnidentifiedImageError

from api.lettering import Colour, colours_of, fitted, font, ink_on, readable
from zoo.errors import InvalidInput

Picture = NDArray[np.uint8]
Area = tuple[int, int, int, int]  # left, top, right, bottom; the last two are just outside

LEAST_SIDE, MOST_SIDE = 640, 2048  # longest side as drawn: smaller pictures are enlarged, larger ones reduced
LEAST_WIDTH = 360  # so that a legend has room under a narrow picture
OPAQUE = 0.45  # share of the colour in what a mask covers
GROUND, INK = (255, 255, 255), (20, 24, 22)
MOST_LISTED = 24


def annotate(picture: Picture, answer: Sequence[Mapping[str, Any]], *, labels: Sequence[str] = ()) -> Image.Image:
    """``picture`` (height, width, 3) with what ``answer`` says drawn over it, and a legend below.

    An item of the answer has ``label`` and ``score`` (or None), and may have a ``box`` in pixels of the picture or a
    ``mask`` (base64 of a PNG of the picture's size). ``labels``, all that a model knows, keep colours the same between
    pictures. The longest side becomes 640 to 2,048 pixels. Raises ``InvalidInput`` for a mask that is no picture.
    """
    sheet = _Sheet.of(picture)
    colours = colours_of([*labels, *(str(item.get("label", "")) for item in answer)])
    shown = [_Item.of(item, colours) for item in answer]
    for item in shown:
        if item.mask:
            sheet.cover(item)
    for item in reversed(shown):  # the best score is drawn last, over the others
        if item.box is not None:
            sheet.frame(item)
    for item in shown:
        sheet.tag(item)
    return sheet.with_legend(_legend(shown))


def png(image: Image.Image) -> bytes:
    """The bytes of a PNG file."""
    written = io.BytesIO()
    image.save(written, "PNG")
    return written.getvalue()


def coverage(mask: str) -> float:
    """The share of the picture that a mask covers; raises ``InvalidInput`` for a mask that is no picture."""
    return float((np.asarray(_mask(mask)) > 127).mean())


@dataclass(frozen=True)
class _Item:
    label: str
    score: float | None
    colour: Colour
    box: tuple[float, float, float, float] | None = None
    mask: str = ""

    @classmethod
    def of(cls, item: Mapping[str, Any], colours: Mapping[str, Colour]) -> _Item:
        box, score, label = item.get("box"), item.get("score"), str(item.get("label", ""))
        corners = None
        if isinstance(box, Mapping):
            left, top, right, bottom = (float(box[name]) for name in ("xmin", "ymin", "xmax", "ymax"))
            corners = (min(left, right), min(top, bottom), max(left, right), max(top, bottom))
        number = float(score) if isinstance(score, int | float) else None
        return cls(readable(label), number, colours[label], corners, str(item.get("mask") or ""))

    @property
    def words(self) -> str:
        return self.label if self.score is None else f"{self.label} {self.score:.2f}"


def _legend(items: Sequence[_Item]) -> list[tuple[Colour, str]]:
    """One line for each label: how often it was found, what share it covers, or its score."""
    if not items:
        return [(GROUND, "nothing found")]
    if all(item.box is not None for item in items):
        counts = Counter(item.label for item in items)
        colour = {item.label: item.colour for item in items}
        lines = [(colour[label], f"{label} ({count})") for label, count in counts.most_common()]
    else:
        lines = [(i.colour, i.words + (f", {coverage(i.mask):.0%} of the picture" if i.mask else "")) for i in items]
    more = len(lines) - MOST_LISTED
    return lines[:MOST_LISTED] + ([(GROUND, f"and {more} more")] if more > 0 else [])


def _mask(encoded: str) -> Image.Image:
    try:
        return Image.open(io.BytesIO(base64.b64decode(encoded, validate=True))).convert("L")
    except (binascii.Error, UnidentifiedImageError, OSError, Image.DecompressionBombError):
        raise InvalidInput("The answer holds a mask that is no picture.") from None


@dataclass
class _Sheet:
    """The picture as it is drawn, ``scale`` times its size, and the places that labels have taken."""

    image: Image.Image
    scale: tuple[float, float]
    drawn: tuple[int, int]  # what the picture takes of the image, from its left upper corner
    size: int  # of the font
    tags: list[Area] = field(default_factory=list)

    @classmethod
    def of(cls, picture: Picture) -> _Sheet:
        image = Image.fromarray(np.ascontiguousarray(picture))
        longest = max(image.size)
        factor = -(-LEAST_SIDE // longest) if longest < LEAST_SIDE else min(1.0, MOST_SIDE / longest)
        drawn = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
        scale = (drawn[0] / image.width, drawn[1] / image.height)
        if drawn != image.size:
            image = image.resize(drawn, Image.Resampling.NEAREST if factor > 1 else Image.Resampling.LANCZOS)
        if image.width < LEAST_WIDTH:
            wide = Image.new("RGB", (LEAST_WIDTH, image.height), GROUND)
            wide.paste(image)
            image = wide
        return cls(image, scale, drawn, size=max(15, round(max(image.size) / 45)))

    @property
    def line(self) -> int:
        return max(2, round(max(self.image.size) / 320))

    def area(self, box: tuple[float, float, float, float]) -> Area:
        """A box of the picture in pixels of the drawing, inside the picture."""
        width, height = self.drawn
        left, top = min(round(box[0] * self.scale[0]), width - 2), min(round(box[1] * self.scale[1]), height - 2)
        right, bottom = round(box[2] * self.scale[0]), round(box[3] * self.scale[1])
        left, top = max(0, left), max(0, top)
        return left, top, min(width, max(right, left + 2)), min(height, max(bottom, top + 2))

    def covered(self, item: _Item) -> Image.Image:
        """The mask of an item as large as the drawing."""
        mask = _mask(item.mask)
        drawn = (max(1, round(mask.width * self.scale[0])), max(1, round(mask.height * self.scale[1])))
        whole = Image.new("L", self.image.size, 0)
        whole.paste(mask.resize(drawn, Image.Resampling.NEAREST).point(lambda value: 255 if value > 127 else 0))
        return whole

    def cover(self, item: _Item) -> None:
        """Lay the item's colour over what its mask covers, with a solid edge inside."""
        mask = self.covered(item)
        flat = Image.new("RGB", self.image.size, item.colour)
        self.image.paste(flat, mask=mask.point(lambda value: round(value * OPAQUE)))
        inner = mask.filter(ImageFilter.MinFilter(2 * (self.line // 2) + 3))
        edge = np.asarray(mask) & ~np.asarray(inner)
        self.image.paste(flat, mask=Image.fromarray(edge))

    def frame(self, item: _Item) -> None:
        """Draw a box of the item's colour along its inner edge, between two thin lines that show on any ground."""
        assert item.box is not None
        left, top, right, bottom = self.area(item.box)
        draw = ImageDraw.Draw(self.image)
        contrast = ink_on(item.colour)
        draw.rectangle((left, top, right - 1, bottom - 1), outline=item.colour, width=self.line)
        inside = (left + self.line, top + self.line, right - 1 - self.line, bottom - 1 - self.line)
        if inside[2] - inside[0] > 2 * self.line and inside[3] - inside[1] > 2 * self.line:
            draw.rectangle(inside, outline=contrast, width=1)

    def tag(self, item: _Item) -> None:
        """Write label and score on the item's colour: at its box, or inside its mask if there is room."""
        if item.box is None and not item.mask:
            return
        draw = ImageDraw.Draw(self.image)
        pad = max(2, self.size // 5)
        text = fitted(draw, item.words, self.size, self.image.width - 2 * pad)
        width = min(self.image.width, round(draw.textlength(text, font(self.size))) + 2 * pad)
        height = min(self.image.height, round(self.size * 1.25) + pad)
        place = self._beside(item, width, height) if item.box is not None else self._inside(item, width, height)
        if place is None:
            return
        self.tags.append(place)
        draw.rectangle((place[0], place[1], place[2] - 1, place[3] - 1), fill=item.colour)
        at = (place[0] + pad, (place[1] + place[3]) / 2)
        draw.text(at, text, fill=ink_on(item.colour), font=font(self.size), anchor="lm")

    def _beside(self, item: _Item, width: int, height: int) -> Area:
        """Above the box, else inside at its top, below, inside at its bottom: the first place that is free."""
        assert item.box is not None
        left, top, right, bottom = self.area(item.box)
        corners = [(left, top - height), (left, top), (right - width, top), (left, bottom), (left, bottom - height)]
        places = [self._kept(x, y, width, height) for x, y in corners]
        free = [at for at, (_, y) in zip(places, corners, strict=True) if at[1] == y and not self._taken(at)]
        return free[0] if free else self._kept(left, top, width, height)

    def _inside(self, item: _Item, width: int, height: int) -> Area | None:
        """In the middle of the mask's widest rows; None where another label is, for the legend has it too."""
        mask = np.asarray(self.covered(item)) > 0
        if not mask.any():
            return None
        widths = mask.sum(axis=1)
        row = int(np.median(np.flatnonzero(widths >= 0.95 * widths.max())))
        column = int(np.median(np.flatnonzero(mask[row])))
        place = self._kept(column - width // 2, row - height // 2, width, height)
        return None if self._taken(place) else place

    def _kept(self, left: int, top: int, width: int, height: int) -> Area:
        """A place of this size inside the drawing, as near as can be."""
        left = max(0, min(left, self.image.width - width))
        top = max(0, min(top, self.image.height - height))
        return left, top, left + width, top + height

    def _taken(self, place: Area) -> bool:
        left, top, right, bottom = place
        return any(left < other[2] and other[0] < right and top < other[3] and other[1] < bottom for other in self.tags)

    def with_legend(self, lines: Sequence[tuple[Colour, str]]) -> Image.Image:
        """The drawing with a strip below it: a patch of colour and a text for each of ``lines``, in columns."""
        draw = ImageDraw.Draw(self.image)
        gap, step = self.size // 2, round(self.size * 1.6)
        widest = max(draw.textlength(text, font(self.size)) for _, text in lines)
        column = min(self.image.width, round(widest) + self.size + 4 * gap)
        columns = max(1, self.image.width // column)
        rows = -(-len(lines) // columns)
        whole = Image.new("RGB", (self.image.width, self.image.height + rows * step + 2 * gap), GROUND)
        whole.paste(self.image)
        draw = ImageDraw.Draw(whole)
        for place, (colour, text) in enumerate(lines):
            left = (place // rows) * column + gap
            middle = self.image.height + gap + (place % rows) * step + step // 2
            patch = (left, middle - self.size // 2, left + self.size, middle - self.size // 2 + self.size)
            if colour != GROUND:
                draw.rectangle(patch, fill=colour, outline=INK)
            room = column - self.size - 3 * gap
            words = fitted(draw, text, self.size, room)
            draw.text((left + self.size + gap, middle), words, fill=INK, font=font(self.size), anchor="lm")
        return whole
