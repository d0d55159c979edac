"""When two answers agree, for the form of every task's body."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from zoo.engine.agreement import agreement

A = [{"label": "a", "score": 0.9}, {"label": "b", "score": 0.1}]
A_LESS = [{"label": "a", "score": 0.6}, {"label": "b", "score": 0.4}]
B = [{"label": "b", "score": 0.9}, {"label": "a", "score": 0.1}]
BAD = {"error": "It is empty.", "code": "invalid_text"}
PERSON = {"entity_group": "PER", "score": 0.9, "word": "Ann", "start": 0, "end": 3}
PLACE = {"entity_group": "LOC", "score": 0.9, "word": "Rome", "start": 7, "end": 11}


def box(label: str, left: int, right: int) -> dict[str, Any]:
    return {"label": label, "score": 0.9, "box": {"xmin": left, "ymin": 0, "xmax": right, "ymax": 10}}


@pytest.mark.parametrize(
    ("one", "other", "share"),
    [
        ([A], [A_LESS], 1.0),
        ([A], [B], 0.0),
        ([A, A, B, B], [A, B, B, A], 0.5),
        (A, A_LESS, 1.0),
        ([A, BAD], [A, BAD], 1.0),
        ([A, BAD], [A, B], 0.5),
        (BAD, BAD | {"code": "input_too_long"}, 0.0),
        ([A, A], [A], 0.5),
    ],
)
def test_labels_agree_by_the_first(one: Any, other: Any, share: float) -> None:
    assert agreement(one, other) == share


def test_numbers_of_a_regression_agree_when_they_are_near() -> None:
    def stars(score: float) -> list[Any]:
        return [[{"label": "stars", "score": score}]]

    assert agreement(stars(4.0), stars(4.3), number=True) == 1.0
    assert agreement(stars(4.0), stars(4.5), number=True) == 0.0
    assert agreement(stars(4.0), stars(4.5)) == 1.0


def test_entities_agree_by_kind_and_place_whatever_their_scores() -> None:
    surer = PERSON | {"score": 0.99}
    assert agreement([PERSON, PLACE], [surer, PLACE]) == 1.0
    assert agreement([PERSON, PLACE], [PERSON]) == 0.0
    assert agreement([], []) == 1.0
    assert agreement([], [PERSON]) == 0.0
    assert agreement([[PERSON], [], [PLACE]], [[PERSON], [], []]) == pytest.approx(2 / 3)


def test_answers_translations_and_transcripts_agree_by_their_text() -> None:
    assert agreement({"answer": "the hall", "score": 0.7}, {"answer": "the hall", "score": 0.2}) == 1.0
    assert agreement({"answer": "the hall", "score": 0.7}, {"answer": "hall", "score": 0.7}) == 0.0
    german = [{"translation_text": "Ein Haus."}, {"translation_text": "Ein Baum."}]
    assert agreement(german, [{"translation_text": "Ein  Haus."}, {"translation_text": "Bäume."}]) == 0.5
    assert agreement([{"summary_text": "Late."}], [{"summary_text": "Late."}]) == 1.0
    assert agreement({"text": "Hello."}, {"text": "Hello.", "chunks": []}) == 1.0
    assert agreement({"text": "Hello."}, {"text": ""}) == 0.0


def test_fillings_agree_gap_by_gap() -> None:
    cat, dog = [{"token_str": "cat", "sequence": "a cat"}], [{"token_str": "dog", "sequence": "a dog"}]
    assert agreement(cat, cat) == 1.0
    assert agreement([cat, dog], [cat, cat]) == 0.5


def test_boxes_agree_when_each_has_a_partner_of_its_label_half_in_common() -> None:
    assert agreement([box("car", 0, 10), box("car", 20, 30)], [box("car", 21, 31), box("car", 1, 11)]) == 1.0
    assert agreement([box("car", 0, 10)], [box("car", 5, 15)]) == 0.0
    assert agreement([box("car", 0, 10)], [box("bus", 0, 10)]) == 0.0
    assert agreement([box("car", 0, 10)], [box("car", 0, 10), box("car", 0, 10)]) == 0.0


def test_masks_agree_by_their_labels() -> None:
    sky, road = {"label": "sky", "mask": "aa"}, {"label": "road", "mask": "bb"}
    assert agreement([sky, road], [road, sky | {"mask": "cc"}]) == 1.0
    assert agreement([sky, road], [sky]) == 0.0


def test_vectors_agree_when_they_are_near() -> None:
    assert agreement([1.0, 0.0], [0.99, 0.05]) == 1.0
    assert agreement([1.0, 0.0], [0.0, 1.0]) == 0.0
    assert agreement([[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [1.0, 0.0]]) == 0.5
    assert agreement([1.0, 0.0], [1.0, 0.0, 0.0]) == 0.0
    near = [np.array([1.0, 0.01], dtype=np.float32)]
    assert agreement([np.array([1.0, 0.0], dtype=np.float32)], near) == 1.0
