"""What is wrong with single pictures, boxes and masks: named with the file, left out, and the rest is used."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable

import pytest
from PIL import Image

from adapters.datasets import Example, Problem, Report
from adapters.datasets.report import Conflict
from tests.adapters.datasets.conftest import InspectZip
from tests.adapters.datasets.zips import Files, classes, coco, detection, mask, picture, saved, segmentation

Read = Callable[[Files], list[Example]]


def only(report: Report) -> Problem:
    """The one problem of a file that can be used all the same."""
    assert report.fatal is None
    (problem,) = report.problems
    assert problem.fix
    return problem


def png_of(width: int, height: int) -> bytes:
    """A PNG that claims a size and is small: its pixels are missing."""
    data = bytearray(picture(1))
    data[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    return bytes(data)


def animation() -> bytes:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    return saved(frames[0], "GIF", save_all=True, append_images=frames[1:])


UNREADABLE = {
    "cut-off.jpg": (picture(1, 64, 64, "JPEG")[:900], "invalid_image"),
    "empty.png": (b"", "invalid_image"),
    "text.jpg": (b"not a picture", "unsupported_image"),
    "page.png": (b"%PDF-1.7", "unsupported_image"),
    "film.gif": (animation(), "unsupported_image"),
    "tiff.tif": (picture(1, kind="TIFF"), "unsupported_image"),
    "huge.png": (png_of(20_000, 20_000), "image_too_large"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_picture_that_cannot_be_read_is_named_and_left_out(inspect_zip: InspectZip, name: str) -> None:
    content, code = UNREADABLE[name]
    report = inspect_zip(classes() | {f"cat/{name}": content})
    assert (report.rows, report.usable_rows) == (7, 6)
    problem = only(report)
    assert (problem.code, problem.file, problem.level) == (code, f"cat/{name}", "error")
    assert problem.message.startswith(f"cat/{name}: ")


def test_names_in_messages_are_short_and_printable(inspect_zip: InspectZip) -> None:
    name = "cat/" + "x" * 300 + "\u202e\U000e0001.png"
    problem = only(inspect_zip(classes() | {name: b""}))
    assert problem.message.isprintable()
    assert len(problem.message) < 200
    assert problem.file == name


def test_the_same_picture_twice_in_a_class_is_kept_and_named(inspect_zip: InspectZip, examples_of: Read) -> None:
    files = classes() | {"cat/copy.png": picture(0)}
    report = inspect_zip(files)
    problem = only(report)
    assert (problem.code, problem.level) == ("duplicate_pictures", "warning")
    assert "cat/0.png, cat/copy.png" in problem.message
    assert report.duplicates.model_dump() == {"groups": 1, "rows": 1}
    assert report.usable_rows == len(examples_of(files)) == 7


def test_the_same_picture_under_two_labels_is_used_under_none(inspect_zip: InspectZip, examples_of: Read) -> None:
    files = classes() | {"dog/copy.png": picture(0)}
    report = inspect_zip(files)
    problem = only(report)
    assert (problem.code, problem.file) == ("conflicting_labels", "cat/0.png")
    assert report.conflicts == (Conflict(files=("cat/0.png", "dog/copy.png"), labels=("cat", "dog")),)
    assert (report.usable_rows, report.conflicting_rows) == (5, 2)
    assert {(each.label, each.count) for each in report.classes} == {("cat", 2), ("dog", 3)}
    used = {example.files["image"].name for example in examples_of(files)}
    assert used == files.keys() - {"cat/0.png", "dog/copy.png"}


@pytest.mark.parametrize("empty", ["owl/", "owl/notes.txt"])
def test_a_class_without_pictures_is_named_and_not_learnt(inspect_zip: InspectZip, empty: str) -> None:
    report = inspect_zip(classes() | {empty: b""})
    assert report.labels == ("cat", "dog")
    problem = next(problem for problem in report.problems if problem.code == "empty_class")
    assert "'owl'" in problem.message


def test_a_class_whose_pictures_cannot_be_read_is_named(inspect_zip: InspectZip) -> None:
    report = inspect_zip(classes() | {"owl/1.png": b""})
    assert report.problem_counts == {"invalid_image": 1, "empty_class": 1}
    assert report.labels == ("cat", "dog")


def test_a_class_with_one_picture_is_a_warning_with_its_name(inspect_zip: InspectZip) -> None:
    problem = only(inspect_zip(classes() | {"owl/1.png": picture(99)}))
    assert (problem.code, problem.file) == ("rare_class", "owl/1.png")
    assert "'owl'" in problem.message


def test_classes_that_differ_in_case_only_are_a_warning(inspect_zip: InspectZip) -> None:
    assert only(inspect_zip(classes(names=("cat", "Cat")))).code == "similar_labels"


FATAL: dict[str, tuple[dict[str, bytes | str], str]] = {
    "one-class": (classes(names=("cat",)), "one_label"),
    "all-conflicts": ({"cat/1.png": picture(1), "dog/1.png": picture(1)}, "no_usable_rows"),
    "nothing-readable": ({"cat/1.png": b"", "dog/1.png": b""}, "no_usable_rows"),
    "no-boxes": ({"1.png": picture(1), "a.json": coco({"1.png": []})}, "no_boxes"),
    "none-of-the-list": ({"1.png": picture(1), "metadata.csv": "file_name,label\n2.png,a\n3.png,b"}, "no_usable_rows"),
    "no-names": ({"images/1.png": picture(1), "masks/1.png": mask([[0, 1]])}, "classes_missing"),
    "one-value": (segmentation(1) | {"masks/0.png": mask([[0]])}, "one_label"),
    "255-for-1": (segmentation(1) | {"masks/0.png": mask([[0, 255]])}, "one_label"),
    "broken-names": (segmentation() | {"classes.json": "[background]"}, "invalid_json"),
    "names-of-no-form": (segmentation() | {"classes.json": '{"a": "b"}'}, "invalid_classes"),
    "value-of-5000-digits": (segmentation() | {"classes.json": json.dumps({"1" * 5000: "a"})}, "invalid_classes"),
    "one-name-twice": (segmentation() | {"classes.json": '["a", "a"]'}, "invalid_classes"),
    "same-stem": (segmentation() | {"images/0.jpg": picture(5, kind="JPEG")}, "ambiguous_name"),
    "broken-json": (detection() | {"annotations.json": "{"}, "invalid_json"),
    "nan": (detection() | {"annotations.json": '{"images": [NaN]}'}, "invalid_json"),
    "deep-json": (detection() | {"annotations.json": "[" * 100_000}, "invalid_json"),
    "half-a-document": (detection() | {"annotations.json": '{"images": [], "annotations": {}}'}, "invalid_list"),
    "rows-of-no-form": (detection() | {"annotations.json": coco({}, images=[1])}, "invalid_list"),
    "one-id-for-two": (
        detection() | {"annotations.json": coco({}, categories=[{"id": 1, "name": "a"}, {"id": 1, "name": "b"}])},
        "invalid_category",
    ),
    "list-is-a-picture": (classes() | {"metadata.csv": picture(1)}, "invalid_list"),
    "list-without-labels": ({"1.png": picture(1), "metadata.jsonl": '{"file_name": "1.png"}\n'}, "column_not_found"),
    "empty-list": (classes() | {"metadata.csv": "file_name,label\n"}, "no_rows"),
}  # fmt: skip


@pytest.mark.parametrize("case", FATAL)
def test_a_zip_of_which_nothing_can_be_learnt_is_refused(inspect_zip: InspectZip, case: str) -> None:
    files, code = FATAL[case]
    fatal = inspect_zip(files).fatal
    assert fatal is not None
    assert fatal.code == code
    assert fatal.message and fatal.fix


def test_a_mask_of_0_and_255_is_told_to_write_1(inspect_zip: InspectZip) -> None:
    fatal = inspect_zip(FATAL["255-for-1"][0]).fatal
    assert fatal is not None and "write 1" in fatal.message


@pytest.mark.parametrize(
    ("rows", "labels", "code"), [(1000, 1, "too_many_labels"), (5, 100, "too_many_rows")], ids=["labels", "rows"]
)
def test_more_classes_or_pictures_than_the_service_takes_are_refused(
    inspect_zip: InspectZip, rows: int, labels: int, code: str
) -> None:
    fatal = inspect_zip(classes(), rows=rows, labels=labels).fatal
    assert fatal is not None and fatal.code == code


LISTED = "file_name,label\n0.png,cat\n1.png,dog\n2.png,cat\n3.png,dog\n"
FLAT: dict[str, bytes | str] = {f"{place}.png": picture(place) for place in range(4)}
ROWS = {
    "missing": ("9.png,cat", "file_missing", 6),
    "no-label": ("4.png,", "missing_label", 6),
    "null-label": ("4.png,null", "missing_label", 6),
    "too-long": ("a" + "\u0323\u0301" * 5000 + ".png,cat", "file_missing", 6),
    "twice": ("1.png,dog", "duplicate_file_name", 6),
    "outside": ("../../etc/passwd,dog", "file_missing", 6),
}


@pytest.mark.parametrize("case", ROWS)
def test_a_row_of_a_list_that_cannot_be_used_is_named(inspect_zip: InspectZip, case: str) -> None:
    row, code, line = ROWS[case]
    files = FLAT | ({"4.png": picture(4)} if "4.png" in row else {}) | {"metadata.csv": LISTED + row + "\n"}
    report = inspect_zip(files)
    assert (report.rows, report.usable_rows) == (5, 4)
    problem = report.problems[0]
    assert (problem.code, problem.file, problem.line) == (code, "metadata.csv", line)


def test_a_picture_that_a_list_labels_twice_is_used_under_no_label(inspect_zip: InspectZip) -> None:
    report = inspect_zip(FLAT | {"metadata.csv": LISTED + "1.png,cat\n4.png,dog\n", "4.png": picture(4)})
    assert report.problem_counts == {"conflicting_labels": 2}
    assert report.usable_rows == 4


def test_a_key_with_half_of_a_surrogate_pair_is_no_column_of_a_list(inspect_zip: InspectZip) -> None:
    rows = [{"file_name": f"{place}.png", "label": "cd"[place % 2], "\ud800": 1} for place in range(4)]
    report = inspect_zip(FLAT | {"metadata.jsonl": "\n".join(map(json.dumps, rows))})
    assert (report.ignored_columns, report.usable_rows) == ((), 4)
    assert Report.model_validate_json(report.model_dump_json()) == report


def test_a_picture_that_is_in_no_list_is_named(inspect_zip: InspectZip) -> None:
    problem = only(inspect_zip(FLAT | {"9.png": picture(9), "metadata.csv": LISTED}))
    assert (problem.code, problem.file, problem.level) == ("not_listed", "9.png", "warning")


def test_a_thousand_lonely_files_do_not_fill_the_report(inspect_zip: InspectZip) -> None:
    files = FLAT | {f"x/{place}.png": b"" for place in range(300)} | {"metadata.csv": LISTED}
    report = inspect_zip(files)
    assert len(report.problems) == 21
    assert report.problem_counts["not_listed"] == 300


def test_a_report_survives_its_json(inspect_zip: InspectZip) -> None:
    for files in (classes(), detection(), segmentation()):
        report = inspect_zip(files)
        assert Report.model_validate_json(report.model_dump_json()) == report
