"""What is wrong with boxes and masks: named with the picture, which is left out, and the rest is used."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from adapters.datasets import Box, Example
from tests.adapters.datasets.conftest import InspectZip
from tests.adapters.datasets.test_picture_problems import only
from tests.adapters.datasets.zips import Files, detection, mask, picture, saved, segmentation

Read = Callable[[Files], list[Example]]


def boxed(*boxes: list[object], category: int = 1, **image: object) -> dict[str, bytes | str]:
    """A good detection set and one more picture of 24 x 16 with these boxes."""
    document = json.loads(str(detection()["annotations.json"]))
    document["images"].append({"id": 99, "file_name": "more.png"} | image)
    for number, box in enumerate(boxes):
        document["annotations"].append({"id": 700 + number, "image_id": 99, "category_id": category, "bbox": box})
    return detection() | {"images/more.png": picture(99), "annotations.json": json.dumps(document)}


REJECTED = {
    "outside-right": (boxed([10, 2, 20, 5]), "box_outside", "annotation 700"),
    "outside-left": (boxed([-3, 2, 10, 5]), "box_outside", "annotation 700"),
    "far-outside": (boxed([5, 5, 5, 5], [100, 100, 10, 10]), "box_outside", "annotation 701"),
    "corners": (boxed([10, 10, 22, 15]), "box_outside", "24 x 16"),
    "unknown-class": (boxed([1, 1, 5, 5], category=7), "unknown_category", "annotation 700"),
    "three-numbers": (boxed([1, 1, 5]), "invalid_box", "annotation 700"),
    "words": (boxed(["1", "1", "5", "5"]), "invalid_box", "annotation 700"),
    "huge-number": (boxed([1, 1, 10**400, 5]), "invalid_box", "annotation 700"),
    "null": (boxed([None, 1, 5, 5]), "invalid_box", "annotation 700"),
    "other-size": (boxed([1, 1, 5, 5], width=48, height=32), "size_mismatch", "48 x 32"),
    "lying": (boxed([1, 1, 5, 5], width=16, height=24), "size_mismatch", "EXIF"),
}


@pytest.mark.parametrize("case", REJECTED)
def test_a_wrong_box_leaves_its_picture_out_and_is_named(inspect_zip: InspectZip, case: str) -> None:
    files, code, said = REJECTED[case]
    report = inspect_zip(files)
    assert (report.rows, report.usable_rows) == (5, 4)
    problem = only(report)
    assert (problem.code, problem.file) == (code, "images/more.png")
    assert said in problem.message


@pytest.mark.parametrize("box", [[5, 5, 0, 5], [5, 5, 5, -2], [24.5, 5, 0.4, 5]])
def test_a_box_without_area_is_left_out_alone(inspect_zip: InspectZip, examples_of: Read, box: list[object]) -> None:
    files = boxed([1, 1, 5, 5], box)
    problem = only(inspect_zip(files))
    assert (problem.code, problem.file) == ("box_without_area", "images/more.png")
    assert examples_of(files)[-1].boxes == (Box("cat", 1, 1, 5, 5),)


def test_a_pixel_outside_is_cut_off_in_silence(inspect_zip: InspectZip, examples_of: Read) -> None:
    files = boxed([-0.6, 2, 25.6, 14.9], width=24, height=16)
    assert inspect_zip(files).problems == ()
    assert examples_of(files)[-1].boxes == (Box("cat", 0.0, 2.0, 24.0, 14.0),)


def test_boxes_are_in_pixels_of_the_upright_picture(examples_of: Read) -> None:
    exif = Image.Exif()
    exif[274] = 6
    turned = saved(Image.new("RGB", (16, 24), "red"), "JPEG", exif=exif)
    files = detection() | {"images/0.png": turned}
    assert len(examples_of(files)) == 4


def test_a_picture_without_boxes_is_an_example_of_the_background(inspect_zip: InspectZip, examples_of: Read) -> None:
    report = inspect_zip(boxed())
    problem = only(report)
    assert (problem.code, problem.level) == ("picture_without_boxes", "info")
    assert "images/more.png" in problem.message
    assert report.usable_rows == 5


def changed(**sections: object) -> dict[str, bytes | str]:
    return detection() | {"annotations.json": json.dumps(json.loads(str(detection()["annotations.json"])) | sections)}


def test_a_picture_that_the_document_names_twice_counts_once(inspect_zip: InspectZip) -> None:
    images = [{"id": place + 1, "file_name": f"{place % 4}.png"} for place in range(5)]
    report = inspect_zip(changed(images=images))
    problem = only(report)
    assert (problem.code, problem.file) == ("duplicate_file_name", "annotations.json")
    assert "images/0.png" in problem.message
    assert (report.rows, report.usable_rows) == (5, 4)


def test_an_annotation_of_an_unknown_picture_is_named(inspect_zip: InspectZip) -> None:
    document = json.loads(str(detection()["annotations.json"]))
    more = [*document["annotations"], {"id": 9, "image_id": 77, "category_id": 1, "bbox": [1, 1, 2, 2]}]
    problem = only(inspect_zip(changed(annotations=more)))
    assert problem.code == "unknown_image"
    assert "annotation 9" in problem.message


def test_an_annotation_is_named_printably(inspect_zip: InspectZip) -> None:
    document = json.loads(str(detection()["annotations.json"]))
    more = [*document["annotations"], {"id": "\ud800" + "9" * 70, "image_id": 77, "bbox": [1, 1, 2, 2]}]
    report = inspect_zip(changed(annotations=more))
    assert f"annotation …{'9' * 60} belongs" in only(report).message
    more[-1] |= {"id": "\ud8007", "image_id": 1, "category_id": 8}
    assert "annotation ?7" in inspect_zip(changed(annotations=more)).problems[0].message


def test_a_document_that_names_a_picture_which_is_not_there(inspect_zip: InspectZip) -> None:
    report = inspect_zip({name: data for name, data in detection().items() if name != "images/1.png"})
    assert report.problems[0].code == "file_missing"
    assert "1.png" in report.problems[0].message
    assert (report.rows, report.usable_rows) == (4, 3)


def test_a_picture_that_the_document_does_not_name_is_not_taken_for_background(inspect_zip: InspectZip) -> None:
    report = inspect_zip(detection() | {"images/more.png": picture(99)})
    assert only(report).code == "not_listed"
    assert report.usable_rows == 4


def test_boxes_of_crowds_are_not_used(inspect_zip: InspectZip) -> None:
    annotations = json.loads(str(detection()["annotations.json"]))["annotations"]
    annotations.append({"image_id": 1, "category_id": 1, "bbox": [1, 1, 4, 4], "iscrowd": 1})
    report = inspect_zip(changed(annotations=annotations))
    assert only(report).code == "crowd_boxes"
    assert report.boxes is not None and report.boxes.count == 4


def test_a_category_without_boxes_is_named_and_not_learnt(inspect_zip: InspectZip) -> None:
    categories = [{"id": number, "name": name} for number, name in enumerate(("cat", "dog", "owl"), 1)]
    report = inspect_zip(changed(categories=categories))
    assert only(report).code == "empty_class"
    assert report.labels == ("cat", "dog")


@pytest.mark.parametrize(
    "objects",
    [None, {"bbox": [[1, 1, 5, 5]], "categories": []}, {"bbox": "x", "categories": []}, ["x"], {"categories": ["cat"]}],
)
def test_objects_of_another_form_leave_the_row_out(inspect_zip: InspectZip, objects: object) -> None:
    good = {"bbox": [[1, 1, 5, 5]], "categories": ["cat"]}
    rows = [{"file_name": "0.png", "objects": good}, {"file_name": "1.png", "objects": objects}]
    text = "\n".join(json.dumps(row) for row in rows)
    report = inspect_zip({"0.png": picture(0), "1.png": picture(1), "metadata.jsonl": text})
    assert report.problems[0].code == "invalid_objects"
    assert (report.problems[0].file, report.problems[0].line) == ("metadata.jsonl", 2)
    assert report.usable_rows == 1


MASKS = {
    "missing": (None, "mask_missing", "images/more.png", "no mask"),
    "size": (mask([[0, 1]], width=12), "mask_size", "masks/more.png", "12 x 16"),
    "value": (mask([[0, 7]]), "mask_value", "masks/more.png", "192 pixels have the value 7"),
    "colours": (picture(1), "mask_channels", "masks/more.png", "one channel"),
    "alpha": (saved(Image.new("LA", (24, 16))), "mask_channels", "masks/more.png", "one channel"),
    "deep": (saved(Image.fromarray(np.full((16, 24), 999, np.uint16))), "mask_value", "masks/more.png", "999"),
    "ignored": (mask([[255]]), "mask_empty", "masks/more.png", "ignored"),
    "jpeg": (saved(Image.new("L", (24, 16)), "JPEG"), "unsupported_mask", "masks/more.png", "no PNG"),
    "cut-off": (mask([[0, 1]])[:60], "invalid_mask", "masks/more.png", "damaged"),
}


@pytest.mark.parametrize("case", MASKS)
def test_a_wrong_mask_leaves_its_picture_out_and_is_named(inspect_zip: InspectZip, case: str) -> None:
    content, code, file, said = MASKS[case]
    files = segmentation() | {"images/more.png": picture(99)} | ({"masks/more.png": content} if content else {})
    report = inspect_zip(files)
    assert (report.rows, report.usable_rows) == (4, 3)
    problem = only(report)
    assert (problem.code, problem.file) == (code, file)
    assert said in problem.message


def test_a_mask_without_a_picture_is_named(inspect_zip: InspectZip) -> None:
    problem = only(inspect_zip(segmentation() | {"masks/more.png": mask([[0, 1]])}))
    assert (problem.code, problem.file) == ("mask_unused", "masks/more.png")


def test_a_name_without_pixels_stays_in_its_place_and_is_named(inspect_zip: InspectZip) -> None:
    report = inspect_zip(
        segmentation() | {"classes.json": '["background", "rim", "nucleus"]', "masks/0.png": mask([[0, 2]])}
    )
    assert report.labels == ("background", "rim", "nucleus")
    assert report.problem_counts == {"rare_class": 1}
