"""Figures of spans, against numbers that seqeval 1.2.2 and SQuAD's script give."""

from __future__ import annotations

import pytest

from adapters.datasets.annotated.entities import spans_of_tags
from adapters.training.spans.scores import answer_scores, entity_scores, normalised

# the example of seqeval's README: f1 .50, precision .50, recall .50
TRUE = [["O", "O", "O", "B-MISC", "I-MISC", "I-MISC", "O"], ["B-PER", "I-PER", "O"]]
FOUND = [["O", "O", "B-MISC", "I-MISC", "I-MISC", "I-MISC", "O"], ["B-PER", "I-PER", "O"]]


def test_entities_count_as_in_seqevals_example() -> None:
    scores = entity_scores([spans_of_tags(row) for row in FOUND], [spans_of_tags(row) for row in TRUE])
    assert (scores["f1"], scores["precision"], scores["recall"], scores["score"]) == (0.5, 0.5, 0.5, 0.5)
    assert scores["per_class"] == {
        "MISC": {"f1": 0.0, "precision": 0.0, "recall": 0.0, "support": 1},
        "PER": {"f1": 1.0, "precision": 1.0, "recall": 1.0, "support": 1},
    }


def test_kind_and_place_have_to_be_right() -> None:
    true = [[("A", 0, 3), ("B", 5, 9)], [("A", 0, 2)], []]
    found = [[("A", 0, 3), ("A", 5, 9)], [("A", 0, 1)], [("B", 1, 2)]]
    scores = entity_scores(found, true)
    assert (scores["precision"], scores["recall"], scores["f1"]) == (0.25, 0.333333, 0.285714)


def test_rows_without_entities_are_no_fault() -> None:
    assert entity_scores([[], []], [[], []])["f1"] == 0.0
    assert entity_scores([[], [("A", 0, 1)]], [[], [("A", 0, 1)]])["f1"] == 1.0


@pytest.mark.parametrize(
    ("given", "true", "exact", "f1"),
    [
        ("The Eiffel-Tower!", ["eiffeltower"], 1.0, 1.0),
        ("in the hall", ["hall", "the kitchen"], 0.0, 2 / 3),
        ("a b b", ["b b c"], 0.0, 0.8),
        ("", [], 1.0, 1.0),
        ("hall", [], 0.0, 0.0),
        ("", ["hall"], 0.0, 0.0),
        ("the", ["a"], 1.0, 1.0),
    ],
)
def test_answers_count_as_squads_script_counts(given: str, true: list[str], exact: float, f1: float) -> None:
    scores = answer_scores([given], [true])
    assert scores["exact_match"] == exact
    assert scores["f1"] == pytest.approx(f1, abs=1e-6)


def test_an_answer_is_compared_without_case_punctuation_and_articles() -> None:
    assert normalised("  The  quick, BROWN fox -- an animal.") == "quick brown fox animal"
