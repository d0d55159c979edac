"""Zips of pictures in the store: inspected at upload, their facts and their contact sheet kept beside them."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from adapters.datasets import ArchiveFile, Example, FileRecord, FileStore
from adapters.datasets.media import survey
from adapters.datasets.pictures import fact
from adapters.datasets.pictures.sheet import draw_sheet
from tests.adapters.datasets.zips import classes, detection, mask, pack, picture, saved, segmentation
from zoo.errors import InvalidInput, NotFound, Unavailable

Upload = Callable[..., FileRecord]


def kept(home: Path) -> list[str]:
    return sorted(path.name for path in (home / "files").rglob("*") if path.is_file())


def sheet_of(store: FileStore, record: FileRecord) -> NDArray[np.uint8]:
    with Image.open(store.contact_sheet_path(record.id)) as picture:
        assert picture.format == "JPEG"
        return np.asarray(picture)


def test_a_zip_is_inspected_at_upload_and_its_examples_are_read_from_it(
    tmp_path: Path, store: FileStore, upload: Upload
) -> None:
    files = classes()
    record = upload(pack(files), filename="animals.zip")
    assert (record.status, record.format, record.needs_worker) == ("processed", "zip", False)
    report = store.report(record.id)
    assert (report.task, report.usable_rows, report.file) == ("image-classification", 6, record.id)
    examples = list(store.examples(record.id))
    assert [example.values["label"] for example in examples] == ["cat"] * 3 + ["dog"] * 3
    assert [example.read("image") for example in examples] == [files[e.files["image"].name] for e in examples]
    assert kept(tmp_path) == ["data", "file.json", "report.json", "sheet.jpg", "survey.jsonl"]


def test_nothing_of_a_zip_is_unpacked_to_disk(tmp_path: Path, upload: Upload) -> None:
    upload(pack(classes()))
    assert not list(tmp_path.rglob("*.png"))


def test_a_zip_that_cannot_be_trained_on_is_kept_with_its_report(store: FileStore, upload: Upload) -> None:
    record = upload(pack(classes(names=("cat",))))
    assert record.status == "error"
    assert record.status_details is not None and "'cat'" in record.status_details
    fatal = store.report(record.id).fatal
    assert fatal is not None and fatal.code == "one_label"


def test_pictures_are_decoded_once(store: FileStore, upload: Upload, monkeypatch: pytest.MonkeyPatch) -> None:
    record = upload(pack(classes() | {"cat/bad.png": b""}))
    first = list(store.examples(record.id))

    def refuse(item: object) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr(fact, "open_picture", refuse)
    assert store.revalidate(record.id) == store.report(record.id)
    assert list(store.examples(record.id)) == first


def test_another_task_is_judged_without_changing_what_is_stored(store: FileStore, upload: Upload) -> None:
    record = upload(pack(detection()))
    report = store.revalidate(record.id, task="image-classification")
    assert report.fatal is not None and report.fatal.code == "task_mismatch"
    assert store.report(record.id).fatal is None
    with pytest.raises(InvalidInput) as caught:
        store.revalidate(record.id, task="image-magic")
    assert caught.value.code == "unknown_task"


def test_other_columns_are_judged_and_read_without_changing_what_is_stored(store: FileStore, upload: Upload) -> None:
    rows = "".join(f"{place}.png,x,{'big' if place > 1 else 'small'}\n" for place in range(4))
    flat = {f"{place}.png": picture(place) for place in range(4)}
    record = upload(pack(flat | {"metadata.csv": "file_name,label,size\n" + rows}))
    assert record.status == "error"
    report = store.revalidate(record.id, columns={"label": "size"})
    assert report.labels == ("big", "small")
    read = list(store.examples(record.id, report))
    assert [example.values["label"] for example in read] == ["small", "small", "big", "big"]
    assert store.get(record.id).status == "error"
    store.inspect(record.id, columns={"label": "size"})
    assert store.get(record.id).status == "processed"
    assert store.contact_sheet_path(record.id).exists()


@pytest.mark.parametrize(("large", "left"), [("pictures", 2), ("pixels", 2), ("list", 6), ("slow", 6)])
def test_a_large_zip_waits_for_a_worker_who_goes_on_where_the_upload_ended(
    store: FileStore, upload: Upload, monkeypatch: pytest.MonkeyPatch, large: str, left: int
) -> None:
    files = classes()
    if large == "pictures":
        monkeypatch.setattr(survey, "INLINE_FILES", 4)
    elif large == "pixels":
        monkeypatch.setattr(fact, "INLINE_PIXELS", 4 * 24 * 16)
    elif large == "slow":
        monkeypatch.setattr(survey, "INLINE_SECONDS", 0.0)
    else:
        files["notes.json"] = b" " * (4 << 20) + b" {}"
    record = upload(pack(files, method=8))
    assert (record.status, record.needs_worker) == ("uploaded", True)
    with pytest.raises(NotFound) as missing:
        store.report(record.id)
    assert missing.value.code == "report_not_found"
    with pytest.raises(Unavailable) as waiting:
        store.revalidate(record.id)
    assert waiting.value.code == "file_not_ready"
    seen: list[tuple[int, int]] = []
    report = store.inspect(record.id, progress=lambda done, total: seen.append((done, total)))
    assert report.usable_rows == 6
    assert seen == [(done, left) for done in range(left)]
    found = store.get(record.id)
    assert (found.status, found.needs_worker) == ("processed", False)
    assert store.contact_sheet_path(record.id).exists()


def test_what_progress_raises_ends_the_inspection(
    store: FileStore, upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survey, "INLINE_FILES", 1)
    record = upload(pack(classes()))

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.inspect(record.id, progress=stop)
    assert store.get(record.id).status == "uploaded"


def test_the_contact_sheet_shows_every_class(store: FileStore, upload: Upload) -> None:
    colours = {"red": (200, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 200)}
    files = {
        f"{name}/{place}.png": saved(Image.new("RGB", (40 + place, 40), colour))
        for name, colour in colours.items()
        for place in range(30)
    }
    sheet = sheet_of(store, upload(pack(files)))
    shown = [int((np.abs(sheet.astype(int) - colour).max(axis=2) < 30).sum()) for colour in colours.values()]
    assert all(count > 10 * 130 * 130 for count in shown)
    assert max(shown) < 1.2 * min(shown)


def test_the_contact_sheet_shows_boxes_and_masks_in_colour(store: FileStore, upload: Upload) -> None:
    grey = saved(Image.new("RGB", (24, 16), (128, 128, 128)))
    boxes = {name: grey if name.endswith(".png") else data for name, data in detection().items()}
    masks = segmentation() | {f"images/{place}.png": grey for place in range(3)}
    for files in (boxes, masks):
        sheet = sheet_of(store, upload(pack(files))).astype(int)
        coloured = (sheet.max(axis=2) - sheet.min(axis=2)) > 60
        assert coloured[8:152, :].sum() > 500


def test_odd_names_and_shapes_do_not_disturb_the_contact_sheet(store: FileStore, upload: Upload) -> None:
    names = ("名前" * 80, "a\u202eb", "x" * 190)
    files = classes(names=names) | {
        f"{names[0]}/thin.png": picture(5, 3000, 1),
        f"{names[0]}/dot.png": picture(6, 1, 1),
    }
    assert sheet_of(store, upload(pack(files))).shape[1] == 1224


def test_a_hundred_classes_have_a_contact_sheet_of_48(store: FileStore, tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(pack({"a.png": picture(1), "m.png": mask([[0, 1]])}))
    labels = [f"class {number}" for number in range(100)]
    files = {"image": ArchiveFile(path, "a.png")}
    examples = [Example(1, 1, {"label": label}, files) for label in labels]
    with Image.open(io.BytesIO(draw_sheet(examples, labels))) as sheet:
        assert sheet.height == 8 + 6 * (152 + 18)


@pytest.mark.parametrize(
    "content", [b"text,label\ngood,a\nbad,b\n", pack({"cat/1.png": b"", "dog/1.png": b""})], ids=["table", "unreadable"]
)
def test_what_has_no_usable_picture_has_no_contact_sheet(store: FileStore, upload: Upload, content: bytes) -> None:
    record = upload(content)
    with pytest.raises(NotFound) as caught:
        store.contact_sheet_path(record.id)
    assert caught.value.code == "contact_sheet_not_found"


def test_a_deleted_zip_takes_everything_with_it(tmp_path: Path, store: FileStore, upload: Upload) -> None:
    record = upload(pack(classes()))
    list(store.examples(record.id))[0].read("image")
    store.delete(record.id)
    assert kept(tmp_path) == []
