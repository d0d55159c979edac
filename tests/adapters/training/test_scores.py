"""Figures by which classifiers are compared: by hand, and against scikit-learn."""

from __future__ import annotations

import random

import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, precision_recall_fscore_support

from adapters.training.scores import classification_scores


def test_figures_of_a_small_case_are_those_worked_out_by_hand() -> None:
    scores = classification_scores([0, 0, 1, 1, 1, 0], [0, 0, 1, 1, 0, 1], ("no", "yes"))
    assert scores == {
        "rows": 6,
        "accuracy": 0.666667,
        "macro_f1": 0.666667,
        "score": 0.666667,
        "per_class": {
            "no": {"precision": 0.666667, "recall": 0.666667, "f1": 0.666667, "support": 3},
            "yes": {"precision": 0.666667, "recall": 0.666667, "f1": 0.666667, "support": 3},
        },
        "confusion": [[2, 1], [1, 2]],
    }


def test_a_class_that_is_never_predicted_has_zero_and_no_warning() -> None:
    scores = classification_scores([0, 0, 0], [0, 0, 1], ("a", "b"))
    assert scores["per_class"]["b"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 1}
    assert (scores["accuracy"], scores["macro_f1"]) == (0.666667, 0.4)


def test_a_class_that_does_not_occur_does_not_lower_the_mean() -> None:
    scores = classification_scores([0, 1], [0, 1], ("a", "b", "never"))
    assert scores["macro_f1"] == 1.0
    assert scores["confusion"] == [[1, 0, 0], [0, 1, 0], [0, 0, 0]]


def test_the_score_lies_between_accuracy_and_macro_f1() -> None:
    scores = classification_scores([0] * 10, [0] * 9 + [1], ("common", "rare"))
    assert (scores["accuracy"], scores["macro_f1"], scores["score"]) == (0.9, 0.473684, 0.686842)


def test_no_rows_give_zeros() -> None:
    scores = classification_scores([], [], ("a", "b"))
    assert (scores["rows"], scores["accuracy"], scores["macro_f1"], scores["score"]) == (0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize("seed", range(4))
def test_the_figures_are_those_of_scikit_learn(seed: int) -> None:
    draw = random.Random(seed)
    labels = tuple("abcde")
    true = [draw.randrange(5) for _ in range(200)]
    predicted = [label if draw.random() < 0.7 else draw.randrange(5) for label in true]
    scores = classification_scores(predicted, true, labels)
    assert scores["accuracy"] == pytest.approx(accuracy_score(true, predicted), abs=1e-6)
    assert scores["macro_f1"] == pytest.approx(f1_score(true, predicted, average="macro"), abs=1e-6)
    assert scores["confusion"] == confusion_matrix(true, predicted).tolist()
    figures = precision_recall_fscore_support(true, predicted)
    for place, label in enumerate(labels):
        mine = scores["per_class"][label]
        values = [mine["precision"], mine["recall"], mine["f1"], mine["support"]]
        assert values == pytest.approx([figure[place] for figure in figures], abs=1e-6)
