"""Which rows are for what."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.datasets import FileStore
from adapters.jobs import JobKind, JobSpec
from adapters.training.division import Parts, divide, shares
from tests.adapters.training.test_adapt import upload
from tests.conftest import TinyZoo
from tests.tiny import LABELS, rows
from zoo.errors import InvalidInput


def divided(home: Path, data: list[tuple[str, str]], *, seed: int = 0) -> Parts:
    zoo = TinyZoo(home, home)
    spec = JobSpec(kind=JobKind.ADAPT, model="mini", training_file=upload(zoo, data), seed=seed)
    return divide(spec, FileStore(home, zoo.settings), "text-classification")


def texts(part: object) -> set[str]:
    return {example.values["text"] for example in part}  # type: ignore[attr-defined]


@pytest.mark.parametrize(("count", "expected"), [(60, (0.1, 0.15)), (1500, (1 / 15, 200 / 1500)), (9000, (0.05, 0.1))])
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
    with pytest.raises(InvalidInput, match="three different texts") as caught:
        divided(tmp_path, [("my parcel", "delivery"), ("my card", "billing")])
    assert caught.value.code == "invalid_dataset"
