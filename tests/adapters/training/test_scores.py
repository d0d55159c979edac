"""Figures by which classifiers are compared: by hand, and against scikit-learn."""

from __future__ import annotations

import random

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, precision_recall_fscore_support

from adapters.training.scores import classification_scores, correlation_scores, labelling_scores


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


def test_several_labels_have_the_figures_of_scikit_learn() -> None:
    draw = np.random.default_rng(3)
    true, predicted = draw.random((40, 3)) > 0.6, draw.random((40, 3)) > 0.5
    scores = labelling_scores(predicted, true, ("a", "b", "c"))
    assert scores["macro_f1"] == pytest.approx(f1_score(true, predicted, average="macro"), abs=1e-6)
    assert scores["micro_f1"] == pytest.approx(f1_score(true, predicted, average="micro"), abs=1e-6)
    assert scores["accuracy"] == pytest.approx(accuracy_score(true, predicted), abs=1e-6)
    assert scores["score"] == scores["macro_f1"]


def test_a_label_that_occurs_nowhere_does_not_count() -> None:
    true = np.array([[True, False], [False, False]])
    scores = labelling_scores(true, true, ("a", "never"))
    assert scores["macro_f1"] == 1.0
    assert scores["per_class"]["never"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0}


def test_rows_without_any_label_are_right_when_none_is_named() -> None:
    nothing = np.zeros((3, 2), dtype=bool)
    scores = labelling_scores(nothing, nothing, ("a", "b"))
    assert (scores["accuracy"], scores["macro_f1"], scores["micro_f1"]) == (1.0, 0.0, 0.0)


def test_correlations_are_those_of_scipy() -> None:
    from scipy.stats import pearsonr, spearmanr  # type: ignore[import-untyped]

    draw = np.random.default_rng(5)
    true = draw.integers(0, 6, 60).astype(float)
    predicted = np.round(true + draw.normal(0, 2, 60), 0)
    scores = correlation_scores(predicted.tolist(), true.tolist())
    assert scores["spearman"] == pytest.approx(spearmanr(predicted, true).statistic, abs=1e-6)
    assert scores["pearson"] == pytest.approx(pearsonr(predicted, true).statistic, abs=1e-6)
    assert scores["mean_absolute_error"] == pytest.approx(np.abs(predicted - true).mean(), abs=1e-6)


def test_correlation_with_values_that_are_all_alike_is_none() -> None:
    scores = correlation_scores([2.0, 2.0, 2.0], [1.0, 2.0, 3.0])
    assert (scores["spearman"], scores["pearson"], scores["score"]) == (0.0, 0.0, 0.0)
