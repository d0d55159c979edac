"""Which rows are for what."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from adapters.datasets import Example, FileStore, Report
from adapters.datasets.example import Box
from adapters.jobs import JobKind, JobSpec
from adapters.training.division import Parts, divide, shares
from tests.adapters.training.test_adapt import upload
from tests.conftest import TinyZoo
from tests.tiny import LABELS, rows
from zoo.errors import InvalidInput


def divided(home: Path, data: list[tuple[str, str]], *, seed: int = 0) -> Parts:
    zoo = TinyZoo(home, home)
    spec = JobSpec(kind=JobKind.ADAPT, model="mini", training_file=upload(zoo, data), seed=seed)
    return divide(spec, FileStore(home, zoo.settings))


def texts(part: object) -> set[str]:
    return {example.values["text"] for example in part}  # type: ignore[attr-defined]


@pytest.mark.parametrize(("count", "expected"), [(60, (0.1, 0.15)), (1500, (1 / 15, 200 / 1500)), (9000, (0.03, 0.06))])
def test_small_files_hold_out_a_larger_share(count: int, expected: tuple[float, float]) -> None:
    assert shares(count) == pytest.approx(expected)


def test_no_text_is_in_two_parts_though_it_stands_in_the_file_twice(tmp_path: Path) -> None:
    data = rows(60)
    parts = divided(tmp_path, data + [(text.upper() + "!", label) for text, label in data[:20]])
    three = (parts.train, parts.validation, parts.heldout)
    known = [{text.casefold().rstrip("!") for text in texts(part)} for part in three]
    assert not known[0] & known[1] and not known[0] & known[2] and not known[1] & known[2]
    assert sum(len(part) for part in three) == 80


def test_every_label_is_held_out(tmp_path: Path) -> None:
    parts = divided(tmp_path, rows(60))
    assert {example.values["label"] for example in parts.heldout} == set(LABELS)


def test_the_seed_decides_and_nothing_else_does(tmp_path: Path) -> None:
    first, again, other = (divided(tmp_path, rows(60), seed=seed) for seed in (1, 1, 2))
    assert texts(first.heldout) == texts(again.heldout) != texts(other.heldout)


def test_too_few_rows_to_hold_any_out_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="three different examples") as caught:
        divided(tmp_path, [("my parcel", "delivery"), ("my card", "billing")])
    assert caught.value.code == "invalid_dataset"


def test_a_row_of_a_validation_file_with_an_unknown_label_is_left_out(tmp_path: Path) -> None:
    zoo = TinyZoo(tmp_path, tmp_path)
    files = upload(zoo, rows(60)), upload(zoo, [*rows(9, seed=8), ("something else", "unheard of")])
    spec = JobSpec(kind=JobKind.ADAPT, model="mini", training_file=files[0], validation_file=files[1])
    parts = divide(spec, FileStore(tmp_path, zoo.settings))
    assert len(parts.heldout) == 9
    assert parts.labels == LABELS


class Shelf:
    """As much of a file store as a division looks at: examples of pictures, by file."""

    def __init__(self, **files: list[Example]) -> None:
        self._files = files
        self.asked: list[tuple[str, Any]] = []

    def revalidate(self, file_id: str, *, task: str | None = None, columns: Any = None) -> Report:
        self.asked.append((file_id, task))
        examples = self._files[file_id]
        return Report(task="object-detection", labels=("dog", "cat"), rows=len(examples), usable_rows=len(examples))

    def examples(self, file_id: str, report: Report) -> list[Example]:
        return self._files[file_id]

    def get(self, file_id: str) -> Any:
        return SimpleNamespace(sha256="ab" * 32)


def picture(number: int, *labels: str, rarest: str = "") -> Example:
    boxes = tuple(Box(label, 0, 0, 5, 5) for label in labels)
    return Example(number, number, boxes=boxes, fingerprint=f"picture {number}", rarest=rarest)


def of_pictures(train: list[Example], validation: list[Example] | None = None) -> tuple[Parts, Shelf]:
    shelf = Shelf(train=train, validation=validation or [])
    named = {"training_file": "train", "validation_file": None if validation is None else "validation"}
    spec = JobSpec(kind=JobKind.ADAPT, model="tiny", **cast(Any, named))
    return divide(spec, cast(FileStore, shelf)), shelf


def test_labels_of_pictures_stand_in_the_order_of_the_data_set() -> None:
    parts, _ = of_pictures([picture(number, "cat", "dog", rarest="cat") for number in range(40)])
    assert parts.labels == ("dog", "cat")
    assert len(parts.all) == 40


def test_the_task_that_the_data_are_for_holds_for_the_validation_file_too() -> None:
    train = [picture(number, "cat", "dog", rarest="cat") for number in range(40)]
    _, shelf = of_pictures(train, [picture(100, "cat", rarest="cat")])
    assert shelf.asked == [("train", None), ("validation", "object-detection")]


def test_pictures_of_a_validation_file_are_left_out_for_unknown_boxes_alone() -> None:
    train = [picture(number, "cat", "dog", rarest="cat") for number in range(40)]
    common = picture(100, "dog", rarest="dog")  # never the rarest in the training file
    empty, unknown = picture(101), picture(102, "dog", "emu", rarest="emu")
    parts, _ = of_pictures(train, [common, empty, unknown])
    assert list(parts.heldout) == [common, empty]
