"""COCO's average precision, on cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from adapters.training.detection.scores import detection_scores
from zoo.tasks.processors.boxes import Detections

LABELS = ("cat", "dog")
Row = tuple[float, float, float, float, int, float]


def of(*rows: Row) -> Detections:
    """xmin, ymin, xmax, ymax, class, score."""
    table = np.asarray(rows, dtype=np.float32).reshape(-1, 6)
    return Detections(table[:, :4], table[:, 4].astype(np.int64), table[:, 5])


CAT: Row = (0, 0, 10, 10, 0, 1.0)
DOG: Row = (20, 20, 40, 40, 1, 1.0)


def test_what_is_found_exactly_scores_one() -> None:
    figures = detection_scores([of(CAT), of(DOG)], [of(CAT), of(DOG)], LABELS)
    assert (figures["map"], figures["map50"], figures["score"], figures["rows"]) == (1.0, 1.0, 1.0, 2)
    assert figures["per_class"]["dog"] == {"map": 1.0, "map50": 1.0, "recall": 1.0, "support": 1}


def test_nothing_found_scores_zero() -> None:
    figures = detection_scores([of()], [of(CAT)], LABELS)
    assert (figures["map"], figures["map50"]) == (0.0, 0.0)


def test_the_wrong_class_is_not_found() -> None:
    figures = detection_scores([of((0, 0, 10, 10, 1, 0.9))], [of(CAT)], LABELS)
    assert figures["map50"] == 0.0


def test_a_class_without_true_objects_has_no_figures() -> None:
    figures = detection_scores([of(CAT, (0, 0, 5, 5, 1, 0.9))], [of(CAT)], LABELS)
    assert list(figures["per_class"]) == ["cat"]
    assert figures["map"] == 1.0


def test_a_box_counts_up_to_the_overlap_that_it_has() -> None:
    # 10 x 10 against 10 x 7.2: the overlap is .72, enough at .50, .55, .60, .65 and .70, five of ten.
    figures = detection_scores([of((0, 0, 10, 7.2, 0, 0.9))], [of(CAT)], LABELS)
    assert (figures["map"], figures["map50"]) == (0.5, 1.0)


def test_an_overlap_of_exactly_one_half_counts() -> None:
    figures = detection_scores([of((0, 0, 10, 5, 0, 0.9))], [of(CAT)], LABELS)
    assert (figures["map"], figures["map50"]) == (0.1, 1.0)


def test_a_second_box_on_the_same_object_is_a_mistake() -> None:
    # Two true objects; found: one, the same again, then the other. Precision at recall 0 to .5 is 1 (51 of 101
    # places), from .51 to 1 it is 2/3 (50 places).
    true = of(CAT, (50, 50, 60, 60, 0, 1.0))
    found = of((0, 0, 10, 10, 0, 0.9), (0, 0, 10, 10, 0, 0.8), (50, 50, 60, 60, 0, 0.7))
    figures = detection_scores([found], [true], LABELS)
    assert figures["map50"] == pytest.approx((51 + 50 * 2 / 3) / 101, abs=1e-6)


def test_a_mistake_that_scores_highest_costs_most() -> None:
    # Found: a mistake, then both objects. Precision is 1/2, then 2/3: at every recall the best from there on, 2/3.
    true = of(CAT, (50, 50, 60, 60, 0, 1.0))
    found = of((80, 80, 90, 90, 0, 0.9), (0, 0, 10, 10, 0, 0.8), (50, 50, 60, 60, 0, 0.7))
    assert detection_scores([found], [true], LABELS)["map50"] == pytest.approx(2 / 3, abs=1e-6)


def test_what_is_never_found_leaves_recalls_without_precision() -> None:
    # One of two objects found: precision 1 at recalls 0 to .5, nothing beyond.
    figures = detection_scores([of(CAT)], [of(CAT, (50, 50, 60, 60, 0, 1.0))], LABELS)
    assert figures["map50"] == pytest.approx(51 / 101, abs=1e-6)
    assert figures["per_class"]["cat"]["recall"] == 0.5


def test_scores_rank_across_pictures() -> None:
    # The mistake is in another picture than the object, and scores higher: precision 1/2 at every recall.
    figures = detection_scores([of((0, 0, 10, 10, 0, 0.5)), of((0, 0, 10, 10, 0, 0.9))], [of(CAT), of()], LABELS)
    assert figures["map50"] == 0.5


def test_the_best_of_overlapping_true_objects_is_taken() -> None:
    # The first box overlaps both objects by more than .5 and the right one more: so the second box finds its own.
    true = of((0, 0, 10, 10, 0, 1.0), (0, 3, 10, 13, 0, 1.0))
    found = of((0, 3, 10, 13, 0, 0.9), (0, 0, 10, 10, 0, 0.8))
    assert detection_scores([found], [true], LABELS)["map"] == 1.0


def test_the_mean_is_over_classes_and_not_over_objects() -> None:
    true = [of(CAT, (50, 50, 60, 60, 0, 1.0), (70, 70, 80, 80, 0, 1.0), DOG)]
    found = [of(CAT, (50, 50, 60, 60, 0, 0.9), (70, 70, 80, 80, 0, 0.9))]
    assert detection_scores(found, true, LABELS)["map"] == 0.5


def test_only_a_hundred_objects_of_a_class_in_a_picture_count() -> None:
    noise = [(200.0, 200.0, 210.0, 210.0, 0, 0.9)] * 100
    assert detection_scores([of(*noise, (0, 0, 10, 10, 0, 0.5))], [of(CAT)], LABELS)["map50"] == 0.0
