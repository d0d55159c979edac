"""Intersection over union, on maps small enough to count by hand."""

from __future__ import annotations

import numpy as np
import pytest

from adapters.training.segmentation.scores import confusion, segmentation_scores

LABELS = ("ground", "red", "blue")


def test_iou_accuracy_and_pixels_of_a_map_counted_by_hand() -> None:
    true = np.array([[0, 0, 1], [0, 1, 1]])
    predicted = np.array([[0, 1, 1], [0, 1, 0]])
    scores = segmentation_scores(confusion(predicted, true, 3), LABELS, rows=1)
    # ground: 2 of {3 true, 3 claimed, 2 common} = 2/4; red: 2 of {3, 3, 2} = 2/4; blue is nowhere.
    assert scores["per_class"] == {
        "ground": {"iou": 0.5, "pixels": 3},
        "red": {"iou": 0.5, "pixels": 3},
        "blue": {"iou": None, "pixels": 0},
    }
    assert scores["mean_iou"] == scores["score"] == 0.5
    assert scores["pixel_accuracy"] == pytest.approx(4 / 6, abs=1e-6)
    assert (scores["rows"], scores["pixels"]) == (1, 6)


def test_a_class_that_is_claimed_but_not_there_counts_as_nought() -> None:
    true, predicted = np.array([[0, 0, 0, 0]]), np.array([[0, 0, 0, 2]])
    scores = segmentation_scores(confusion(predicted, true, 3), LABELS, rows=1)
    assert scores["per_class"]["blue"] == {"iou": 0.0, "pixels": 0}
    assert scores["mean_iou"] == pytest.approx((0.75 + 0.0) / 2)


def test_pixels_are_summed_over_pictures_and_not_their_figures() -> None:
    small = confusion(np.array([[1]]), np.array([[0]]), 2)
    large = confusion(np.zeros((3, 3), dtype=int), np.zeros((3, 3), dtype=int), 2)
    scores = segmentation_scores(small + large, LABELS[:2], rows=2)
    assert scores["per_class"]["ground"]["iou"] == 0.9
    assert scores["per_class"]["red"]["iou"] == 0.0
    assert scores["mean_iou"] == 0.45


def test_ignored_pixels_count_neither_for_nor_against() -> None:
    true = np.array([[0, 255, 255], [1, 1, 255]], dtype=np.uint8)
    predicted = np.array([[0, 1, 0], [1, 1, 2]], dtype=np.uint8)
    scores = segmentation_scores(confusion(predicted, true, 3), LABELS, rows=1)
    assert (scores["mean_iou"], scores["pixel_accuracy"], scores["pixels"]) == (1.0, 1.0, 3)
    assert scores["per_class"]["blue"] == {"iou": None, "pixels": 0}


def test_rows_of_the_confusion_are_true_and_columns_predicted() -> None:
    assert confusion(np.array([[1, 1]]), np.array([[0, 0]]), 2).tolist() == [[0, 2], [0, 0]]


def test_nothing_asked_is_no_success() -> None:
    ignored = np.full((2, 2), 255, dtype=np.uint8)
    scores = segmentation_scores(confusion(np.zeros((2, 2), dtype=int), ignored, 2), LABELS[:2], rows=1)
    assert (scores["mean_iou"], scores["pixel_accuracy"]) == (0.0, 0.0)
