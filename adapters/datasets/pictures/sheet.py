"""The contact sheet: up to 48 small pictures of a data set, by class, with what was said of them drawn in."""

from __future__ import annotations

import colorsys
from collections import defaultdict
from collections.abc import Sequence
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from adapters.datasets.example import Example
from adapters.datasets.pictures.masks import open_mask
from zoo.tasks.processors.image import open_picture

MAX_PICTURES = 48
MAX_LEGEND = 48
_COLUMNS, _SIDE, _GAP, _CAPTION, _FONT = 8, 144, 8, 18, 13
_CELL = _SIDE + _GAP
_WIDTH = _COLUMNS * _CELL + _GAP
_INK, _GROUND = (32, 32, 32), (255, 255, 255)

Colour = tuple[int, int, int]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_COLOURS: tuple[Colour, ...] = (
    (225, 40, 40), (30, 90, 230), (50, 200, 60), (250, 180, 20), (200, 50, 210), (30, 200, 220),
    (130, 80, 30), (245, 120, 190), (110, 60, 200), (170, 220, 60), (0, 110, 90), (120, 120, 120),
)  # fmt: skip


def draw_sheet(examples: Sequence[Example], labels: Sequence[str]) -> bytes:
    """A JPEG of 1,224 pixels in width; ``labels`` are the classes in the order of the report.

    Pictures are decoded one by one. With one label each, the label stands below; boxes and masks have the colour of
    their class, and a legend tells the colours.
    """
    chosen = _chosen(examples, labels)
    font = ImageFont.load_default(_FONT)
    colours = {label: _colour(place) for place, label in enumerate(labels) if label}
    plain = not any(example.boxes or "mask" in example.files for example in chosen)
    legend = [] if plain else _legend(list(colours), font)
    rows = -(-len(chosen) // _COLUMNS)
    height = _GAP + rows * (_CELL + _CAPTION) + len(legend) * _CAPTION + (_GAP if legend else 0)
    sheet = Image.new("RGB", (_WIDTH, height), _GROUND)
    draw = ImageDraw.Draw(sheet)
    for place, example in enumerate(chosen):
        left = _GAP + place % _COLUMNS * _CELL
        top = _GAP + place // _COLUMNS * (_CELL + _CAPTION)
        small = _small(example, labels, colours)
        sheet.paste(small, (left + (_SIDE - small.width) // 2, top + _SIDE - small.height))
        caption = example.values.get("label") or example.files["image"].name.rsplit("/", 1)[-1]
        caption = _fitting(caption, font)
        draw.text((left + (_SIDE - font.getlength(caption)) / 2, top + _SIDE + 1), caption, _INK, font)
    for line, entries in enumerate(legend):
        top = height - _GAP - (len(legend) - line) * _CAPTION
        for left, label in entries:
            draw.rectangle((left, top + 3, left + 11, top + 14), colours[label])
            draw.text((left + 16, top), _fitting(label, font), _INK, font)
    target = BytesIO()
    sheet.save(target, "JPEG", quality=85)
    return target.getvalue()


def _chosen(examples: Sequence[Example], labels: Sequence[str]) -> list[Example]:
    """As many of each class as there is room for, evenly spread over its examples, classes one behind the other."""
    by_class: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        by_class[example.stratum].append(example)
    order = [label for label in dict.fromkeys((*labels, "")) if label in by_class][:MAX_PICTURES]
    wanted = dict.fromkeys(order, 0)
    room = MAX_PICTURES
    while room and any(wanted[label] < len(by_class[label]) for label in order):
        for label in order:
            if room and wanted[label] < len(by_class[label]):
                wanted[label] += 1
                room -= 1
    return [
        by_class[label][place * len(by_class[label]) // count]
        for label, count in wanted.items()
        for place in range(count)
    ]


def _small(example: Example, labels: Sequence[str], colours: dict[str, Colour]) -> Image.Image:
    full = Image.fromarray(open_picture(example.read("image")))
    scale = min(_SIDE / full.width, _SIDE / full.height)
    size = max(1, round(full.width * scale)), max(1, round(full.height * scale))
    small = full.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    if "mask" in example.files:
        mask = Image.fromarray(open_mask(example.read("mask"))).resize(size, Image.Resampling.NEAREST)
        small = _covered(small, np.asarray(mask), labels, colours)
    draw = ImageDraw.Draw(small)
    for box in example.boxes:
        right, bottom = (box.x + box.width) * scale - 1, (box.y + box.height) * scale - 1
        left, top = min(box.x * scale, right), min(box.y * scale, bottom)
        draw.rectangle((left, top, right, bottom), outline=colours[box.label], width=2)
    return small


def _covered(
    small: Image.Image, mask: NDArray[np.uint8], labels: Sequence[str], colours: dict[str, Colour]
) -> Image.Image:
    """Half picture, half the colours of the classes; what is not learnt stays as it is."""
    table = np.zeros((256, 3), dtype=np.uint8)
    shown = np.zeros(256, dtype=bool)
    for value, label in enumerate(labels):
        if label:
            table[value], shown[value] = colours[label], True
    picture = np.asarray(small)
    mixed = (picture.astype(np.uint16) + table[mask]) // 2
    return Image.fromarray(np.where(shown[mask][..., None], mixed, picture).astype(np.uint8))


def _legend(labels: Sequence[str], font: Font) -> list[list[tuple[int, str]]]:
    """Lines of (left, label) that fit into the sheet's width."""
    lines: list[list[tuple[int, str]]] = []
    left = _WIDTH
    for label in labels[:MAX_LEGEND]:
        width = 32 + round(font.getlength(_fitting(label, font)))
        if left + width > _WIDTH:
            lines.append([])
            left = _GAP
        lines[-1].append((left, label))
        left += width
    return lines


def _fitting(text: str, font: Font) -> str:
    """As much of a text as fits below a picture."""
    text = "".join(character for character in text if character.isprintable())[:80]
    if font.getlength(text) <= _SIDE:
        return text
    while text and font.getlength(text + "…") > _SIDE:
        text = text[:-1]
    return text + "…"


def _colour(place: int) -> Colour:
    """The first dozen are as unlike as can be; those that follow have hues a golden angle apart."""
    if place < len(_COLOURS):
        return _COLOURS[place]
    red, green, blue = colorsys.hsv_to_rgb(place * 0.618034 % 1, 0.6 if place % 2 else 0.9, 0.9)
    return round(red * 255), round(green * 255), round(blue * 255)
