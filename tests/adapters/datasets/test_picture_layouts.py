"""What the folders and lists in a zip are taken for."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from adapters.datasets import Box, Example
from tests.adapters.datasets.conftest import InspectZip
from tests.adapters.datasets.zips import Files, classes, coco, detection, mask, pack, picture, segmentation, shuffled
from zoo.errors import InvalidInput

Read = Callable[[Files], list[Example]]


def labelled(examples: list[Example]) -> dict[str, str]:
    return {example.files["image"].name: example.values["label"] for example in examples}


@pytest.mark.parametrize("under", ["", "animals/", "a/b/"])
def test_a_folder_is_a_class(inspect_zip: InspectZip, examples_of: Read, under: str) -> None:
    files = classes(under=under)
    report = inspect_zip(shuffled(files, 3))
    assert (report.task, report.layout, report.format) == ("image-classification", "folders", "zip")
    assert report.labels == ("cat", "dog")
    assert (report.rows, report.usable_rows, report.problems, report.fatal) == (6, 6, (), None)
    examples = examples_of(files)
    assert labelled(examples)[f"{under}dog/1.png"] == "dog"
    assert examples[0].read("image") == files[f"{under}cat/0.png"]
    assert {example.stratum for example in examples} == {"cat", "dog"}


def test_folders_inside_the_folder_of_a_class_only_group(examples_of: Read) -> None:
    files = classes() | {"cat/more/9.png": picture(9), "dog/x/y/8.png": picture(8)}
    found = labelled(examples_of(files))
    assert (found["cat/more/9.png"], found["dog/x/y/8.png"]) == ("cat", "dog")


@pytest.mark.parametrize("names", [("train", "val"), ("Train", "valid"), ("training", "validation")])
def test_the_parts_of_a_split_are_no_classes_and_are_used_together(
    inspect_zip: InspectZip, names: tuple[str, str]
) -> None:
    train, val = names
    files = classes(under=f"set/{train}/") | {f"set/{val}/cat/7.png": picture(7), f"set/{val}/dog/8.png": picture(8)}
    report = inspect_zip(files)
    assert (report.labels, report.usable_rows, report.problems) == (("cat", "dog"), 8, ())


def test_the_test_part_is_left_out_and_that_is_said(inspect_zip: InspectZip) -> None:
    files = classes(under="train/") | {"test/cat/7.png": picture(7), "test/dog/8.png": picture(8)}
    report = inspect_zip(files)
    assert (report.labels, report.usable_rows) == (("cat", "dog"), 6)
    assert report.problem_counts == {"test_part_left_out": 2}


def test_a_test_part_alone_is_used(inspect_zip: InspectZip) -> None:
    report = inspect_zip(classes(under="test/"))
    assert (report.labels, report.usable_rows, report.problems) == (("cat", "dog"), 6, ())


def test_classes_named_like_parts_stay_classes_beside_others(inspect_zip: InspectZip) -> None:
    assert inspect_zip(classes(names=("bus", "train"))).labels == ("bus", "train")


def test_pictures_beside_the_class_folders_have_no_label(inspect_zip: InspectZip) -> None:
    report = inspect_zip(classes() | {"cover.png": picture(99)})
    assert (report.rows, report.usable_rows) == (7, 6)
    assert [(problem.code, problem.file) for problem in report.problems] == [("missing_label", "cover.png")]


CSV = "file_name,label\n" + "".join(f"{place}.png,{'cat' if place % 2 else 'dog'}\n" for place in range(4))
JSONL = "".join(
    json.dumps({"file_name": f"{place}.png", "label": "cat" if place % 2 else "dog"}) + "\n" for place in range(4)
)
FLAT = {f"{place}.png": picture(place) for place in range(4)}


def below(files: Files, folder: str) -> dict[str, bytes | str]:
    return {folder + name: content for name, content in files.items()}


LISTS: dict[str, dict[str, bytes | str]] = {
    "csv": FLAT | {"metadata.csv": CSV},
    "jsonl": FLAT | {"metadata.jsonl": JSONL},
    "wrapped": below(FLAT | {"metadata.csv": CSV}, "set/"),
    "images-beside": below(FLAT, "images/") | {"metadata.csv": CSV},
    "by-name": below(FLAT, "pictures/raw/") | {"metadata.csv": CSV},
    "semicolons": FLAT | {"metadata.csv": CSV.replace(",", ";")},
    "other-names": FLAT | {"metadata.csv": CSV.replace("file_name", "path").replace("label", "species")},
    "without-suffix": FLAT | {"metadata.csv": CSV.replace(".png", "")},
}


@pytest.mark.parametrize("case", LISTS)
def test_a_list_beside_the_pictures_names_their_labels(inspect_zip: InspectZip, examples_of: Read, case: str) -> None:
    report = inspect_zip(LISTS[case])
    assert (report.task, report.layout) == ("image-classification", "metadata")
    assert (report.rows, report.usable_rows, report.fatal, report.problems) == (4, 4, None, ())
    assert report.labels == ("cat", "dog")
    found = {name.rsplit("/", 1)[-1]: label for name, label in labelled(examples_of(LISTS[case])).items()}
    assert found == {"0.png": "dog", "1.png": "cat", "2.png": "dog", "3.png": "cat"}


def test_names_with_backslashes_and_folders_are_found_in_the_zip(inspect_zip: InspectZip) -> None:
    rows = "".join(f"a\\b\\{place}.png,{'cat' if place % 2 else 'dog'}\n" for place in range(4))
    assert inspect_zip(below(FLAT, "a/b/") | {"metadata.csv": "file_name,label\n" + rows}).usable_rows == 4


def test_the_columns_of_a_list_can_be_chosen(inspect_zip: InspectZip, examples_of: Read) -> None:
    rows = "".join(f"{place}.png,x,{'big' if place > 1 else 'small'}\n" for place in range(4))
    files = FLAT | {"metadata.csv": "file_name,label,size\n" + rows}
    report = inspect_zip(files, columns={"label": "size"})
    assert report.columns == {"image": "file_name", "label": "size"}
    assert report.ignored_columns == ("label",)
    assert report.labels == ("big", "small")


def test_columns_cannot_be_chosen_where_there_are_none(inspect_zip: InspectZip) -> None:
    with pytest.raises(InvalidInput) as caught:
        inspect_zip(classes(), columns={"label": "kind"})
    assert (caught.value.code, caught.value.param) == ("unknown_column", "columns")


def test_lists_in_the_parts_of_a_split_count_together_without_the_test_part(inspect_zip: InspectZip) -> None:
    files: dict[str, bytes | str] = {}
    for number, part in enumerate(("train", "valid", "test")):
        files |= {f"{part}/{place}.png": picture(10 * number + place) for place in range(4)}
        files[f"{part}/metadata.csv"] = CSV
    report = inspect_zip(files)
    assert (report.usable_rows, report.labels) == (8, ("cat", "dog"))
    assert report.problem_counts == {"test_part_left_out": 4}


@pytest.mark.parametrize("folder", ["", "set/"])
def test_pictures_with_a_coco_file_are_for_detection(inspect_zip: InspectZip, examples_of: Read, folder: str) -> None:
    files = below(detection(), folder)
    report = inspect_zip(files)
    assert (report.task, report.layout) == ("object-detection", "coco")
    assert (report.labels, report.usable_rows, report.problems) == (("cat", "dog"), 4, ())
    assert [(each.label, each.count, each.pictures) for each in report.classes] == [("cat", 2, 2), ("dog", 2, 2)]
    assert report.boxes is not None
    assert (report.boxes.count, report.boxes.widths.median, report.boxes.heights.median) == (4, 10, 8)
    first = examples_of(files)[0]
    assert first.boxes == (Box("cat", 2.0, 3.0, 10.0, 8.0),)
    assert first.stratum == "cat"


def test_coco_files_of_the_parts_of_a_split_count_together_without_the_test_part(inspect_zip: InspectZip) -> None:
    files: dict[str, bytes | str] = {}
    for number, part in enumerate(("train", "valid", "test")):
        files |= {f"{part}/{place}.png": picture(10 * number + place) for place in range(2)}
        files[f"{part}/_annotations.coco.json"] = coco({"0.png": [(1, [1, 1, 5, 5])], "1.png": [(2, [1, 1, 5, 5])]})
    report = inspect_zip(files)
    assert (report.usable_rows, report.labels) == (4, ("cat", "dog"))
    assert report.problem_counts == {"test_part_left_out": 2}


OBJECTS = {
    "categories": {"bbox": [[1, 2, 5, 6], [3, 3, 4, 4]], "categories": ["cat", "dog"]},
    "category": {"bbox": [[1, 2, 5, 6], [3, 3, 4, 4]], "category": ["cat", "dog"]},
    "list": [{"bbox": [1, 2, 5, 6], "category": "cat"}, {"bbox": [3, 3, 4, 4], "category": "dog"}],
}


@pytest.mark.parametrize("form", OBJECTS)
def test_boxes_in_a_list_are_for_detection(inspect_zip: InspectZip, examples_of: Read, form: str) -> None:
    rows = [{"file_name": "0.png", "objects": OBJECTS[form]}, {"file_name": "1.png", "objects": OBJECTS[form]}]
    rows.append({"file_name": "2.png", "objects": {"bbox": [], "categories": []}})
    files = {name: FLAT[name] for name in ("0.png", "1.png", "2.png")}
    text = "".join(json.dumps(row) + "\n" for row in rows)
    report = inspect_zip(files | {"metadata.jsonl": text})
    assert (report.task, report.layout, report.usable_rows) == ("object-detection", "objects", 3)
    assert report.problem_counts == {"picture_without_boxes": 1}
    examples = examples_of(files | {"metadata.jsonl": text})
    assert examples[0].boxes == (Box("cat", 1, 2, 5, 6), Box("dog", 3, 3, 4, 4))
    assert (examples[2].boxes, examples[2].stratum) == ((), "")


NAMES = {
    "list": '["background", "nucleus"]',
    "by-value": '{"0": "background", "1": "nucleus"}',
    "by-name": '{"background": 0, "nucleus": 1}',
    "objects": '[{"id": 1, "name": "nucleus"}, {"id": 0, "name": "background"}]',
}


@pytest.mark.parametrize("form", NAMES)
def test_pictures_with_masks_are_for_segmentation(inspect_zip: InspectZip, examples_of: Read, form: str) -> None:
    files = segmentation() | {"classes.json": NAMES[form]}
    report = inspect_zip(files)
    assert (report.task, report.layout, report.labels) == ("image-segmentation", "masks", ("background", "nucleus"))
    assert (report.usable_rows, report.problems) == (3, ())
    assert [(each.label, each.pictures, each.share) for each in report.classes] == [
        ("background", 3, 0.75),
        ("nucleus", 3, 0.25),
    ]
    example = examples_of(files)[1]
    assert example.read("mask") == files["masks/1.png"]
    assert example.stratum == "nucleus"


@pytest.mark.parametrize("name", ['"unlabelled"', '"Void"', '"ignore"', "null", '""'])
def test_a_class_without_a_name_of_its_own_is_not_learnt(inspect_zip: InspectZip, name: str) -> None:
    files = segmentation() | {"classes.json": f'["background", "nucleus", {name}]'}
    for place in range(3):
        files[f"masks/{place}.png"] = mask([[0, 1], [2, 255]])
    report = inspect_zip(files)
    assert report.labels == ("background", "nucleus", "")
    assert [(each.label, each.share) for each in report.classes] == [("background", 0.5), ("nucleus", 0.5)]
    assert report.problems == ()


def test_masks_in_the_parts_of_a_split_belong_to_the_pictures_beside_them(inspect_zip: InspectZip) -> None:
    files: dict[str, bytes | str] = {"classes.json": '["background", "nucleus"]'}
    for number, part in enumerate(("train", "val", "test")):
        for place in range(2):
            files[f"{part}/images/{place}.png"] = picture(10 * number + place)
            files[f"{part}/masks/{place}.png"] = mask([[0, 1]])
    report = inspect_zip(files)
    assert (report.usable_rows, report.task) == (4, "image-segmentation")


KINDS: dict[str, dict[str, bytes | str]] = {
    "image-classification": classes(),
    "object-detection": detection(),
    "image-segmentation": segmentation(),
}


@pytest.mark.parametrize("held", KINDS)
@pytest.mark.parametrize("asked", [*KINDS, "text-classification"])
def test_a_task_that_does_not_fit_is_refused_with_what_the_zip_holds(
    inspect_zip: InspectZip, held: str, asked: str
) -> None:
    report = inspect_zip(KINDS[held], task=asked)
    assert report.task == held
    if asked == held:
        assert report.fatal is None
        return
    assert report.fatal is not None
    assert report.fatal.code == "task_mismatch"
    assert held in report.fatal.message and asked in report.fatal.message


def test_a_table_is_no_data_for_pictures(inspect_zip: InspectZip) -> None:
    report = inspect_zip(b"text,label\ngood,a\nbad,b\n", task="image-classification")
    assert report.fatal is not None
    assert report.fatal.code == "task_mismatch"
    assert "table" in report.fatal.message and "zip" in report.fatal.message


UNKNOWN: dict[str, tuple[dict[str, bytes | str], str]] = {
    "flat": (dict(FLAT), "nothing that says"),
    "voc": (FLAT | {f"{place}.xml": "<a/>" for place in range(4)}, "Pascal VOC"),
    "yolo": (FLAT | {f"{place}.txt": "0 .5 .5 .1 .1" for place in range(4)}, "YOLO"),
    "csv": (FLAT | {"train.csv": CSV}, "metadata.csv"),
    "json-each": (FLAT | {f"{place}.json": "{}" for place in range(4)}, "JSON for each"),
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_pictures_of_which_nothing_is_said_are_refused_with_what_could_be_sent(
    inspect_zip: InspectZip, case: str
) -> None:
    files, said = UNKNOWN[case]
    fatal = inspect_zip(files).fatal
    assert fatal is not None
    assert fatal.code == "unknown_layout"
    assert said in fatal.message
    assert "image-classification" in fatal.fix and "object-detection" in fatal.fix


def test_examples_come_in_one_order_however_the_zip_was_packed(examples_of: Read) -> None:
    first = [example.files["image"].name for example in examples_of(classes())]
    again = [example.files["image"].name for example in examples_of(shuffled(classes(), 5))]
    assert first == again


def test_equal_pixels_are_equal_content_whatever_the_file(examples_of: Read) -> None:
    files = classes() | {"cat/again.webp": picture(0, kind="PNG"), "cat/bmp.bmp": picture(0, kind="BMP")}
    contents = {example.files["image"].name: example.content for example in examples_of(files)}
    assert contents["cat/0.png"] == contents["cat/again.webp"] == contents["cat/bmp.bmp"]
    assert contents["cat/0.png"] != contents["cat/1.png"]


def test_a_packed_zip_reads_as_a_stored_one(inspect_zip: InspectZip) -> None:
    assert inspect_zip(pack(classes(), method=8)).usable_rows == 6
