"""The split: stratified, seeded, no text on both sides."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from adapters.datasets import split


def corpus(*, rows: int, classes: int) -> tuple[list[str], list[str]]:
    return [f"c{row % classes}" for row in range(rows)], [f"text number {row}" for row in range(rows)]


def test_every_row_is_in_exactly_one_part() -> None:
    labels, texts = corpus(rows=200, classes=4)
    parts = split(labels, texts, seed=1)
    assert sorted(parts.train + parts.validation + parts.heldout) == list(range(200))


def test_every_class_has_its_share_of_each_part() -> None:
    labels, texts = corpus(rows=400, classes=4)
    parts = split(labels, texts, seed=1, shares=(0.1, 0.2))
    assert Counter(labels[row] for row in parts.validation) == {f"c{number}": 10 for number in range(4)}
    assert Counter(labels[row] for row in parts.heldout) == {f"c{number}": 20 for number in range(4)}


def test_the_seed_decides_and_the_order_of_rows_does_not() -> None:
    labels, texts = corpus(rows=100, classes=3)
    order = list(range(100))
    random.Random(5).shuffle(order)
    first = split(labels, texts, seed=1)
    shuffled = split([labels[row] for row in order], [texts[row] for row in order], seed=1)
    assert {order[row] for row in shuffled.heldout} == set(first.heldout)
    assert {order[row] for row in shuffled.validation} == set(first.validation)
    assert split(labels, texts, seed=2).heldout != first.heldout


def test_a_split_is_the_same_in_every_process() -> None:
    labels, texts = corpus(rows=12, classes=2)
    parts = split(labels, texts, seed=3)
    assert (parts.validation, parts.heldout) == ((2, 3), (9, 10))


def test_equal_texts_are_never_apart() -> None:
    labels = [f"c{row % 2}" for row in range(300)]
    texts = [("Text %d!" if row % 3 else "text  %d") % (row % 100) for row in range(300)]
    parts = split(labels, texts, seed=4)
    numbers = [{row % 100 for row in part} for part in (parts.train, parts.validation, parts.heldout)]
    assert all(numbers)
    assert not (numbers[0] & numbers[1] or numbers[0] & numbers[2] or numbers[1] & numbers[2])


@pytest.mark.parametrize(
    ("texts", "sizes"),
    [
        (["a"], (1, 0, 0)),
        (["a", "a", "A!"], (3, 0, 0)),
        (["a", "b"], (1, 0, 1)),
        (["a", "b", "c"], (1, 1, 1)),
        (["a"] * 18 + ["b", "c"], (18, 1, 1)),
        (list("abcdefgh"), (6, 1, 1)),
    ],
    ids=["one", "one-thrice", "two", "three", "uneven", "eight"],
)
def test_small_classes(texts: list[str], sizes: tuple[int, int, int]) -> None:
    parts = split(["c"] * len(texts), texts, seed=0)
    assert (len(parts.train), len(parts.validation), len(parts.heldout)) == sizes


def test_classes_of_two_serve_both_parts() -> None:
    labels, texts = corpus(rows=20, classes=10)
    parts = split(labels, texts, seed=0)
    assert (len(parts.train), len(parts.validation), len(parts.heldout)) == (10, 5, 5)


def test_a_share_of_zero_leaves_the_part_empty() -> None:
    labels, texts = corpus(rows=100, classes=2)
    parts = split(labels, texts, seed=0, shares=(0.2, 0.0))
    assert (len(parts.train), len(parts.validation), len(parts.heldout)) == (80, 20, 0)


def test_a_part_of_many_rows_is_capped() -> None:
    labels, texts = corpus(rows=30_000, classes=2)
    parts = split(labels, texts, seed=0)
    assert (len(parts.validation), len(parts.heldout)) == (2000, 2000)


@pytest.mark.parametrize("shares", [(0.5, 0.5), (-0.1, 0.2)])
def test_shares_that_leave_nothing_to_train_on_are_refused(shares: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="shares"):
        split(["a"], ["b"], seed=0, shares=shares)
