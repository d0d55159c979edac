"""Real zips of pictures: what their READMEs count, in seconds, and no false alarm."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from adapters.datasets import Limits, inspect_file, inspect_zip, split
from adapters.datasets.pictures.sheet import draw_sheet

DATA = Path(__file__).parents[3].parent / "shared" / "data"
LIMITS = Limits(rows=1_000_000, row_bytes=65536, labels=1000)

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not DATA.is_dir(), reason="the real data sets are not on this machine"),
]

CLASSIFICATION = [("flowers5", 650, 5), ("eurosat", 3500, 10), ("hymenoptera", 243, 2)]
# three pictures of raccoon are there twice
DETECTION = [
    ("playing_cards", 296, 527, ("king", "ace", "nine", "ten", "jack", "queen"), {}),
    ("bccd", 292, 3941, ("WBC", "RBC", "Platelets"), {}),
    ("raccoon", 160, 172, ("raccoon",), {"duplicate_pictures": 3}),
]
SEGMENTATION = [("camvid", 367, 11), ("dsb2018", 554, 2)]


@pytest.mark.parametrize(("name", "pictures", "classes"), CLASSIFICATION)
def test_folders_of_real_photographs(name: str, pictures: int, classes: int) -> None:
    started = time.process_time()
    found = inspect_zip(DATA / name / "train.zip", limits=LIMITS)
    report = found.report
    assert time.process_time() - started < 10
    assert (report.task, report.fatal) == ("image-classification", None)
    assert (report.rows, report.usable_rows, len(report.labels)) == (pictures, pictures, classes)
    assert report.problem_counts == {}
    labels = [example.stratum for example in found.examples]
    parts = split(labels, [example.content for example in found.examples], seed=0)
    for part in (parts.train, parts.validation, parts.heldout):
        assert len({labels[row] for row in part}) == classes


@pytest.mark.parametrize(("name", "pictures", "boxes", "labels", "problems"), DETECTION)
def test_real_pictures_with_boxes(
    name: str, pictures: int, boxes: int, labels: tuple[str, ...], problems: dict[str, int]
) -> None:
    report = inspect_file(DATA / name / "train.zip", limits=LIMITS)
    assert (report.task, report.fatal, report.labels) == ("object-detection", None, labels)
    assert (report.rows, report.usable_rows) == (pictures, pictures)
    assert report.boxes is not None and report.boxes.count == boxes
    assert report.problem_counts == problems


@pytest.mark.parametrize(("name", "pictures", "classes"), SEGMENTATION)
def test_real_pictures_with_masks(name: str, pictures: int, classes: int) -> None:
    found = inspect_zip(DATA / name / "train.zip", limits=LIMITS)
    report = found.report
    assert (report.task, report.fatal, report.problem_counts) == ("image-segmentation", None, {})
    assert (report.rows, report.usable_rows, len(report.classes)) == (pictures, pictures, classes)
    assert draw_sheet(found.examples, report.labels).startswith(b"\xff\xd8\xff")


def test_what_is_unlabelled_in_street_scenes_is_not_learnt() -> None:
    report = inspect_file(DATA / "camvid" / "validation.zip", limits=LIMITS)
    assert report.labels[11] == ""
    assert "unlabelled" not in {each.label for each in report.classes}


@pytest.mark.parametrize(
    "name", ["flowers5", "eurosat", "hymenoptera", "playing_cards", "bccd", "raccoon", "camvid", "dsb2018"]
)
def test_the_test_parts_give_no_error_either(name: str) -> None:
    report = inspect_file(DATA / name / "test.zip", limits=LIMITS)
    assert report.fatal is None
    assert report.usable_rows == report.rows
    assert not [problem for problem in report.problems if problem.level == "error"]
