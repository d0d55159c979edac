"""What is drawn over a picture can be seen: edges of the label's colour, translucent masks, a legend, text inside."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from api import lettering
from api.contact_sheet import Cell, contact_sheet
from api.drawing import annotate, coverage, png
from tests.api.picture_fakes import mask
from zoo.errors import InvalidInput

FIRST, SECOND = lettering.PALETTE[:2]


def grey(width: int, height: int) -> NDArray[np.uint8]:
    return np.full((height, width, 3), 128, np.uint8)


def found(label: str, *box: int, score: float | None = 0.9) -> dict[str, Any]:
    return {"label": label, "score": score, "box": dict(zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True))}


def share(image: Image.Image, colour: tuple[int, ...], area: tuple[int, int, int, int] | None = None) -> float:
    """Which part of an area has exactly this colour."""
    pixels = np.asarray(image.crop(area) if area else image)
    return float((pixels == np.array(colour)).all(axis=-1).mean())


def test_the_inner_edge_of_a_box_has_the_colour_of_its_label() -> None:
    drawn = annotate(grey(800, 600), [found("cat", 100, 200, 500, 400)])
    for at in ((100, 300), (499, 300), (300, 399), (101, 210)):
        assert drawn.getpixel(at) == FIRST
    for outside in ((99, 300), (500, 300), (300, 400), (300, 300)):
        assert drawn.getpixel(outside) == (128, 128, 128)


def test_the_name_stands_above_its_box_in_black_or_white_on_the_colour() -> None:
    drawn = annotate(grey(800, 600), [found("cat", 100, 200, 500, 400)])
    above = (100, 178, 170, 200)
    assert share(drawn, FIRST, above) > 0.5
    assert share(drawn, (255, 255, 255), above) > 0.03


@pytest.mark.parametrize(
    "box",
    [(0, 0, 800, 600), (0, 0, 5, 5), (795, 595, 800, 600), (700, 0, 800, 30), (-50, -50, 20, 20), (790, 590, 900, 900)],
)
def test_nothing_is_drawn_outside_the_picture(box: tuple[int, int, int, int]) -> None:
    name = "a name of many letters"
    drawn = annotate(grey(800, 600), [found(name, *box)])
    below = np.asarray(drawn)[600:]
    legend = np.asarray(annotate(grey(800, 600), [found(name, 300, 300, 400, 400)]))[600:]
    assert (below == legend).all()
    assert share(drawn, FIRST, (0, 0, 800, 600)) > 0.005


def test_names_of_boxes_at_one_place_do_not_cover_each_other() -> None:
    one = annotate(grey(800, 600), [found("cat", 100, 200, 500, 400)])
    two = annotate(grey(800, 600), [found("cat", 100, 200, 500, 400), found("dog", 100, 200, 500, 400)])
    above = (100, 178, 170, 200)
    assert list(one.crop(above).getcolors() or []) == list(two.crop(above).getcolors() or [])
    assert share(two, SECOND, (105, 205, 500, 395)) > 0.005


def test_a_mask_is_translucent_and_has_a_solid_edge() -> None:
    answer = [{"label": "lawn", "score": None, "mask": mask((800, 600), (0, 300, 800, 600))}]
    drawn = annotate(grey(800, 600), answer)
    assert drawn.getpixel((100, 301)) == FIRST
    assert drawn.getpixel((400, 290)) == (128, 128, 128)
    assert drawn.getpixel((100, 400)) == (70, 122, 151)  # 45 % of the colour, 55 % of the grey


def test_the_legend_has_a_patch_for_each_label() -> None:
    answer = [
        {"label": "lawn", "score": 0.9, "mask": mask((800, 600), (0, 300, 800, 600))},
        {"label": "sky", "score": 0.8, "mask": mask((800, 600), (0, 0, 800, 300))},
    ]
    drawn = annotate(grey(800, 600), answer)
    legend = (0, 600, 800, drawn.height)
    assert drawn.height > 600
    assert share(drawn, FIRST, legend) > 0.005 and share(drawn, SECOND, legend) > 0.005


def test_labels_without_a_place_are_listed_below() -> None:
    drawn = annotate(grey(800, 600), [{"label": "cat", "score": 0.9}, {"label": "dog", "score": 0.1}])
    assert share(drawn, (128, 128, 128), (0, 0, 800, 600)) == 1.0
    assert share(drawn, FIRST, (0, 600, 800, drawn.height)) > 0.005


def test_nothing_found_is_said() -> None:
    drawn = annotate(grey(800, 600), [])
    assert drawn.height > 600
    assert share(drawn, (255, 255, 255), (0, 600, 800, drawn.height)) < 0.999


def test_a_label_keeps_its_colour_between_pictures() -> None:
    drawn = annotate(grey(800, 600), [found("dog", 100, 200, 500, 400)], labels=("cat", "dog"))
    assert drawn.getpixel((100, 300)) == SECOND


@pytest.mark.parametrize(
    ("size", "drawn_size"), [((16, 16), 640), ((16, 4), 640), ((900, 700), 900), ((5000, 300), 2048)]
)
def test_a_picture_is_drawn_so_large_that_words_can_be_read(size: tuple[int, int], drawn_size: int) -> None:
    assert annotate(grey(*size), [found("cat", 1, 1, 3, 3)]).width == drawn_size


def test_boxes_of_a_tiny_and_a_huge_picture_are_where_they_belong() -> None:
    tiny = annotate(grey(16, 16), [found("cat", 4, 8, 12, 16)])
    assert (tiny.getpixel((160, 480)), tiny.getpixel((158, 480))) == (FIRST, (128, 128, 128))
    huge = annotate(grey(6000, 4000), [found("cat", 3000, 2000, 6000, 4000)])
    assert (huge.getpixel((1025, 1000)), huge.getpixel((1020, 1000))) == (FIRST, (128, 128, 128))


def test_letters_grow_with_the_picture() -> None:
    heights = [annotate(grey(*size), []).height - size[1] for size in ((800, 600), (2000, 1500))]
    assert heights[1] > 2 * heights[0]


def test_a_narrow_picture_leaves_room_for_the_legend() -> None:
    drawn = annotate(grey(10, 900), [found("cat", 0, 0, 10, 100)])
    assert drawn.width == 360
    assert drawn.getpixel((9, 50)) == FIRST
    assert drawn.getpixel((11, 50)) == (255, 255, 255)


def test_a_mask_that_is_no_picture_is_refused() -> None:
    with pytest.raises(InvalidInput, match="a mask that is no picture"):
        annotate(grey(8, 8), [{"label": "lawn", "score": None, "mask": "aGVsbG8="}])


def test_coverage_is_the_share_of_white() -> None:
    assert coverage(mask((10, 10), (0, 0, 5, 5))) == 0.25


def test_a_png_is_a_png() -> None:
    opened = Image.open(io.BytesIO(png(annotate(grey(8, 8), []))))
    assert (opened.format, opened.width) == ("PNG", 640)


def test_every_label_of_fifty_has_its_own_colour() -> None:
    assert len(set(lettering.colours_of([str(number) for number in range(50)]).values())) == 50


def test_ink_is_black_on_yellow_and_white_on_navy() -> None:
    assert (lettering.ink_on((255, 230, 0)), lettering.ink_on((0, 0, 90))) == ((0, 0, 0), (255, 255, 255))


def test_without_a_font_of_the_machine_letters_lose_their_accents(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lettering, "_system_font", lambda: "")
    assert lettering.readable("Müll\x1b[31m eimer 猫") == "Mull [31m eimer ?"


def test_a_contact_sheet_frames_what_is_right_in_green_and_what_is_wrong_in_red() -> None:
    cells = [Cell(grey(30, 20), ("cat", "0.9"), right=True), Cell(grey(30, 20), ("dog",), right=False)]
    sheet = contact_sheet(cells, title="two pictures", columns=5)
    assert sheet.width == 12 + 2 * 156
    half = sheet.width // 2
    red, green = (190, 30, 45), (0, 120, 80)
    assert share(sheet, green, (0, 0, half, sheet.height)) > 0.01 and share(sheet, red, (0, 0, half, sheet.height)) == 0
    assert share(sheet, red, (half, 0, sheet.width, sheet.height)) > 0.01
