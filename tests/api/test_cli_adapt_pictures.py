"""Pictures on the command line: a folder becomes a zip, reports name files, figures are those of the task."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from api.cli import app
from api.commands import follow
from api.commands.folder_zip import files_of, zipped
from tests.api.canned_service import FILE, JOB, REPORT, SUCCEEDED, TICKETS, CannedService, canned_service
from tests.api.picture_fakes import picture

BLURRED = {
    "level": "warning",
    "code": "invalid_image",
    "message": "The picture is cut short; it is left out.",
    "fix": "Save it again.",
    "line": None,
    "row": None,
    "column": None,
    "position": None,
    "file": "dog/3.jpg",
}
PICTURES = REPORT | {"format": "zip", "task": "image-classification", "columns": {}, "problems": [BLURRED]}
PICTURES |= {"encoding": "", "lengths": None, "classes": [{"label": "cat", "count": 2, "share": 1.0}]}
SIDES = {"min": 30, "median": 200, "p95": 300, "max": 400}
SEEN = {"count": 2, "bytes": 61_000, "widths": SIDES, "heights": SIDES, "formats": {"JPEG": 1, "PNG": 1}}
BOXES = {"count": 9, "per_picture": {"min": 0, "median": 3, "p95": 6, "max": 6}, "widths": SIDES, "heights": SIDES}
DETECTOR = TICKETS | {
    "modality": "image",
    "task": "object-detection",
    "metrics": {"heldout": {"rows": 40, "score": 0.61, "map": 0.61, "map50": 0.83, "per_class": {"cat": {"ap": 0.7}}}},
    "parity": {"rows": 40, "max_abs_difference": 4.1e-06, "agreement": 0.975, "tolerance": 1e-4},
}


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[CannedService]:
    monkeypatch.setattr(follow, "POLL_SECONDS", 0.01)
    with canned_service() as running:
        running.says("POST", "/v1/files", FILE)
        running.says("GET", "/v1/files/file-1/report", PICTURES)
        running.says("POST", "/v1/fine_tuning/jobs", JOB)
        running.says("GET", "/v1/jobs/ftjob-1", SUCCEEDED)
        running.says("GET", "/v1/models/tickets@1", DETECTOR)
        yield running


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes of pictures, and what systems leave lying about."""
    folder = tmp_path / "photos"
    for name in ("cat/2.png", "cat/1.png", "dog/1.png"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture())
    for junk in (".DS_Store", "cat/.hidden.png", "__MACOSX/cat/1.png", ".ipynb_checkpoints/x.png", "dog/Thumbs.db"):
        path = folder / junk
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"junk")
    (folder / "dog" / "2.png").symlink_to(folder / "cat" / "1.png")
    return folder


def zoo(service: CannedService, *words: str) -> Result:
    return CliRunner().invoke(app, [*words, "--url", service.url])


def test_a_folder_is_sent_as_a_zip_of_its_pictures_alone(service: CannedService, photos: Path) -> None:
    result = zoo(service, "adapt", "effnet-lite0", str(photos), "--name", "pets")
    assert result.exit_code == 0, result.output
    body = service.asked("POST", "/v1/files")[0].body
    assert b'filename="photos.zip"' in body
    sent = zipfile.ZipFile(io.BytesIO(body[body.index(b"PK") : body.rindex(b"PK") + 22]))
    assert sent.namelist() == ["cat/1.png", "cat/2.png", "dog/1.png"]
    assert sent.read("dog/1.png") == picture()
    assert {entry.compress_type for entry in sent.infolist()} == {zipfile.ZIP_STORED}
    assert service.asked("POST", "/v1/fine_tuning/jobs")[0].json() == {
        "model": "effnet-lite0",
        "suffix": "pets",
        "training_file": "file-1",
    }


def test_a_folder_makes_the_same_zip_twice_and_leaves_none_behind(photos: Path) -> None:
    with zipped(photos) as packed:
        first = packed.read_bytes()
    with zipped(photos) as packed:
        assert packed.read_bytes() == first
    assert not packed.exists()


def test_the_folder_that_one_stands_in_has_a_name(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(photos)
    with zipped(Path()) as packed:
        assert packed.name == "photos.zip"
    assert [path.as_posix() for path in files_of(Path())] == ["cat/1.png", "cat/2.png", "dog/1.png"]


def test_a_folder_without_files_is_refused(service: CannedService, tmp_path: Path) -> None:
    result = zoo(service, "upload", str(tmp_path))
    assert result.exit_code == 65 and "there is no file in the folder" in result.stderr
    assert service.calls == []


def test_a_report_on_pictures_names_the_file_at_fault(service: CannedService, photos: Path) -> None:
    result = zoo(service, "upload", str(photos))
    assert result.exit_code == 0, result.output
    assert re.search(
        r"warning +dog/3\.jpg +invalid_image +The picture is cut short; it is left out\. +Save it", result.stdout
    )


def test_figures_are_those_that_the_task_has(service: CannedService, photos: Path) -> None:
    result = zoo(service, "adapt", "effnet-lite0", str(photos), "--name", "pets")
    assert re.search(r"on held-out rows +mAP +mAP50\n", result.stdout)
    assert re.search(r"after: adapted, 40 rows never trained on +0\.610 +0\.830\n", result.stdout)
    assert "same answer on 97.5% of 40 rows" in result.stdout
    assert "accuracy" not in result.stdout and "before" not in result.stdout


def test_the_way_to_try_a_model_of_pictures_is_a_picture(service: CannedService, photos: Path) -> None:
    assert "zoo predict tickets@1 picture.jpg" in zoo(service, "adapt", "m", str(photos), "--name", "pets").stdout


def test_show_has_the_figures_of_each_class(service: CannedService) -> None:
    result = zoo(service, "show", "tickets@1")
    assert re.search(r"class +AP\ncat +0\.700", result.stdout)


def test_json_of_a_report_is_the_services_own(service: CannedService, photos: Path) -> None:
    assert json.loads(zoo(service, "upload", str(photos), "--json").stdout)["report"] == PICTURES


def test_a_report_on_pictures_has_their_number_kinds_and_sizes(service: CannedService, photos: Path) -> None:
    service.says("GET", "/v1/files/file-1/report", PICTURES | {"pictures": SEEN, "layout": "folders"})
    shown = zoo(service, "upload", str(photos)).stdout
    for line in (
        r"layout +folders",
        r"pictures +2 of 61\.0 kB: 1 JPEG, 1 PNG",
        r"pixels +median 200 × 200, least 30 × 30, most 400 × 400",
        r"label +pictures +share",
    ):
        assert re.search(line, shown)


def test_a_report_on_boxes_has_their_number_and_sizes(service: CannedService, photos: Path) -> None:
    service.says("GET", "/v1/files/file-1/report", PICTURES | {"pictures": SEEN, "boxes": BOXES})
    shown = zoo(service, "upload", str(photos)).stdout
    assert re.search(r"boxes +9, median 3 a picture, most 6 *\npixels of a box +median 200 × 200", shown)
    assert re.search(r"label +boxes +share", shown)
