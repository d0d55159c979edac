"""`zoo predict` with pictures: files in, a table out, and drawings for eyes."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from api.cli import app
from api.lettering import PALETTE
from tests.api.canned_service import LISTED, TICKETS, CannedService, canned_service
from tests.api.picture_fakes import mask, picture

PATH = "/v1/models/eyes/predict"
EYES = LISTED | {"id": "eyes", "modality": "image", "task": "object-detection", "labels": ["cat", "dog"]}
SCORES = [{"label": "cat", "score": 0.75}, {"label": "dog", "score": 0.25}]
BOXES = [{"label": "dog", "score": 0.9, "box": {"xmin": 100, "ymin": 200, "xmax": 500, "ymax": 400}}]
MASKS = [{"label": "cat", "score": None, "mask": mask((800, 600), (0, 300, 800, 600))}]


@pytest.fixture
def service() -> Iterator[CannedService]:
    with canned_service() as running:
        running.says("GET", "/v1/models/eyes", EYES)
        yield running


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    path.write_bytes(picture("#808080", (800, 600)))
    return path


def zoo(service: CannedService, *words: object) -> Result:
    return CliRunner().invoke(app, ["predict", "eyes", *map(str, words), "--url", service.url])


def test_the_file_goes_as_it_is_and_labels_come_back(service: CannedService, photo: Path) -> None:
    service.says("POST", PATH, SCORES)
    result = zoo(service, photo)
    assert result.exit_code == 0, result.output
    assert [line.split() for line in result.stdout.splitlines()[-2:]] == [
        ["cat", "0.750", "█" * 18],
        ["dog", "0.250", "█" * 6],
    ]
    (call,) = service.asked("POST", PATH)
    assert call.body == photo.read_bytes()


def test_options_go_with_the_picture(service: CannedService, photo: Path) -> None:
    service.says("POST", PATH, [])
    result = zoo(service, photo, "--top-k", 2, "--threshold", 0.4)
    assert "nothing found" in result.stdout
    body = service.asked("POST", PATH)[0].json()
    assert body["parameters"] == {"top_k": 2, "threshold": 0.4}
    assert base64.b64decode(body["inputs"]) == photo.read_bytes()


def test_boxes_are_shown_in_pixels(service: CannedService, photo: Path) -> None:
    service.says("POST", PATH, BOXES)
    assert "xmin 100 ymin 200 xmax 500 ymax 400" in zoo(service, photo).stdout


def test_masks_are_shown_by_what_they_cover(service: CannedService, photo: Path) -> None:
    service.says("POST", PATH, MASKS)
    assert "50.0% of the picture" in zoo(service, photo).stdout


def test_draw_writes_the_picture_with_what_was_found(service: CannedService, photo: Path, tmp_path: Path) -> None:
    service.says("POST", PATH, BOXES)
    result = zoo(service, photo, "--draw", tmp_path / "out.png")
    assert result.exit_code == 0, result.output
    drawn = Image.open(tmp_path / "out.png")
    assert drawn.getpixel((100, 300)) == PALETTE[1]  # dog is the model's second label
    assert "out.png" in result.stderr


def test_several_pictures_are_drawn_into_numbered_files(service: CannedService, photo: Path, tmp_path: Path) -> None:
    service.says("POST", PATH, BOXES, MASKS)
    zoo(service, photo, photo, "--draw", tmp_path / "out.png")
    assert sorted(path.name for path in tmp_path.glob("out*")) == ["out-1.png", "out-2.png"]


def test_json_is_one_answer_for_each_picture(service: CannedService, photo: Path) -> None:
    service.says("POST", PATH, SCORES, BOXES)
    assert json.loads(zoo(service, photo, photo, "--json").stdout) == [SCORES, BOXES]


def test_one_refused_picture_is_a_line_with_its_name(service: CannedService, photo: Path) -> None:
    service.refuses("POST", PATH, 415, "unsupported_image", "A PDF is no picture.")
    result = zoo(service, photo)
    assert result.exit_code == 65
    assert result.stderr.strip() == f"error: {photo}: A PDF is no picture."


def test_among_several_a_refused_picture_is_named_and_the_others_are_answered(
    service: CannedService, photo: Path, tmp_path: Path
) -> None:
    error = {"error": {"message": "The picture is cut short.", "code": "invalid_image"}}
    service.answers["POST", PATH] = [(200, BOXES), (422, error)]
    result = zoo(service, photo, photo, "--draw", tmp_path / "out.png")
    assert result.exit_code == 65
    assert "refused: The picture is cut short." in result.stdout and "xmin 100" in result.stdout
    assert [path.name for path in tmp_path.glob("out*")] == ["out-1.png"]


def test_a_fault_that_is_not_the_pictures_ends_the_command(service: CannedService, photo: Path) -> None:
    service.refuses("POST", PATH, 422, "unknown_field", "No such option.")
    result = zoo(service, photo, photo)
    assert (result.exit_code, result.stderr.strip()) == (65, "error: No such option.")
    assert len(service.asked("POST", PATH)) == 1


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["nowhere.jpg"], "there is no picture nowhere.jpg"),
        (["."], "is a folder; give its pictures"),
        (["x" * 5000], "cannot be read"),
        (["photo.png", "--draw", "out.jpg"], "--draw writes PNG files; call it out.png"),
        (["photo.png", "--draw", "no/such/out.png"], "there is no folder no/such"),
    ],
)
def test_what_cannot_be_sent_is_refused_before(service: CannedService, words: list[str], fault: str) -> None:
    result = zoo(service, *words)
    assert result.exit_code == 65
    assert fault in result.stderr
    assert not service.asked("POST", PATH)


def test_drawing_is_for_models_of_pictures(service: CannedService, tmp_path: Path) -> None:
    service.says("GET", "/v1/models/eyes", TICKETS)
    result = zoo(service, "some text", "--draw", tmp_path / "out.png")
    assert result.exit_code == 65 and "--draw is for pictures" in result.stderr


def test_a_vector_cannot_be_drawn(service: CannedService, photo: Path, tmp_path: Path) -> None:
    service.says("POST", PATH, [0.5, 0.5])
    result = zoo(service, photo, "--draw", tmp_path / "out.png")
    assert result.exit_code == 65 and "--draw draws labels, boxes and masks" in result.stderr
