"""What a report says of rows that can be read."""

from __future__ import annotations

import json

import pytest

from adapters.datasets import DatasetFault, Report
from adapters.datasets.report import Conflict
from tests.adapters.datasets.conftest import Inspect


def table(*rows: tuple[str, str]) -> str:
    return "text,label\n" + "".join(f"{text},{label}\n" for text, label in rows)


@pytest.mark.parametrize(
    ("content", "code", "line"),
    [
        (table(("good", "a"), ("better", "a")), "one_label", 2),
        (table(("good", "a"), ("good", "b"), ("Good", "a")), "one_text", 2),
        (table(("good", "a"), ("good", "a")), "one_text", 2),
        (table(*((f"text {row}", f"label {row}") for row in range(12))), "too_many_labels", 12),
        (table(("good", "nan"), ("bad", "NaN")), "no_usable_rows", 2),
        (table(("good", ""), ("bad", "")), "no_usable_rows", 2),
        (table(("", "a"), ("", "b")), "no_usable_rows", 2),
        ('{"text": "good", "label": null}\n{"text": "bad", "label": null}\n', "no_usable_rows", 1),
        (table(("good", "a"), ("good", "b"), ("bad", "a"), ("bad", "b")), "one_label", 2),
        (table(*((f"text {row}", f"label {row % 3}") for row in range(31))), "too_many_rows", 32),
    ],
    ids=[
        "one-label", "one-text", "one-row-twice", "labels", "nan-labels", "empty-labels", "empty-texts", "null-labels",
        "all-conflicts", "rows",
    ],
)  # fmt: skip
def test_data_that_cannot_be_trained_on_is_refused_with_a_row(
    inspect: Inspect, content: str, code: str, line: int
) -> None:
    report = inspect(content, labels=10, rows=30)
    assert report.fatal is not None
    assert (report.fatal.code, report.fatal.line) == (code, line)
    with pytest.raises(DatasetFault) as caught:
        report.raise_if_fatal()
    assert caught.value.code == "invalid_dataset"
    assert f"ine {line}" in caught.value.message


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ('{"text": "  ", "label": "a"}', "empty_text"),
        ('{"label": "a"}', "empty_text"),
        ('{"text": "x", "label": null}', "missing_label"),
        ('{"text": "x", "label": "NaN"}', "missing_label"),
        ('{"text": "x"}', "missing_label"),
        ('{"text": ["x"], "label": "a"}', "wrong_type"),
        ('{"text": "x", "label": {"a": 1}}', "wrong_type"),
        ('{"text": "x", "label": "' + "a" * 201 + '"}', "label_too_long"),
        ('{"text": "\\ud800", "label": "a"}', "invalid_text"),
    ],
)
def test_a_row_without_usable_values_is_left_out_and_named(inspect: Inspect, row: str, code: str) -> None:
    good = '{"text": "good", "label": "a"}\n{"text": "bad", "label": "b"}\n'
    report = inspect(good + row + "\n")
    assert report.fatal is None
    assert (report.rows, report.usable_rows) == (3, 2)
    problem = report.problems[0]
    assert (problem.code, problem.line, problem.row, problem.level) == (code, 3, 3, "error")
    assert problem.column in ("text", "label")
    assert report.problem_counts[code] == 1


def test_the_numbers_of_a_small_file(inspect: Inspect) -> None:
    report = inspect(table(("one", "a"), ("two words", "a"), ("three more words", "a"), ("x", "b")))
    assert [(each.label, each.count, each.share) for each in report.classes] == [("a", 3, 0.75), ("b", 1, 0.25)]
    assert report.balance is not None
    assert (report.balance.ratio, report.balance.entropy) == (3.0, 0.8113)
    assert report.lengths is not None
    assert report.lengths.characters.model_dump() == {"min": 1, "median": 3, "p95": 16, "max": 16}
    assert report.lengths.words.model_dump() == {"min": 1, "median": 1, "p95": 3, "max": 3}


def test_duplicates_are_counted_without_case_spaces_and_punctuation_and_are_kept(inspect: Inspect) -> None:
    report = inspect(table(("Good  day!", "a"), ("good day", "a"), ("ＧＯＯＤ day", "a"), ("bad day", "b")))
    assert report.duplicates.model_dump() == {"groups": 1, "rows": 2}
    assert report.usable_rows == 4
    assert report.problem_counts["duplicate_rows"] == 2


def test_equal_texts_with_different_labels_are_left_out_and_listed(inspect: Inspect) -> None:
    report = inspect(table(("good", "a"), ("bad", "b"), ("GOOD", "b"), ("fine", "a")))
    assert report.conflicting_rows == 2
    assert report.conflicts == (Conflict(lines=(2, 4), labels=("a", "b")),)
    assert report.usable_rows == 2
    assert [(each.label, each.count) for each in report.classes] == [("a", 1), ("b", 1)]
    assert report.problem_counts["conflicting_labels"] == 2


def test_texts_that_differ_in_punctuation_do_not_conflict(inspect: Inspect) -> None:
    assert inspect(table(("fine :)", "a"), ("fine :(", "b"))).conflicting_rows == 0


def test_a_class_with_one_example_is_a_warning(inspect: Inspect) -> None:
    report = inspect(table(("one", "a"), ("two", "a"), ("three", "b")))
    problem = report.problems[0]
    assert (problem.code, problem.level, problem.line) == ("rare_class", "warning", 4)
    assert "training" in problem.message


def test_labels_that_differ_in_case_only_are_a_warning(inspect: Inspect) -> None:
    report = inspect(table(("one", "Spam"), ("two", "spam"), ("three", "ham")))
    assert report.problem_counts["similar_labels"] == 1
    assert len(report.classes) == 3


def test_a_thousand_problems_are_stored_and_all_are_counted(inspect: Inspect) -> None:
    report = inspect(table(("one", "a"), ("two", "b"), *([("", "a")] * 1500)), rows=2000)
    assert len(report.problems) == 1000
    assert report.problem_counts["empty_text"] == 1500


def test_no_text_of_the_rows_stands_in_the_report(inspect: Inspect) -> None:
    secret = "rosebud"
    rows = [(f"{secret} one", "a"), (f"{secret} one", "b"), (secret, ""), (f"{secret} two", "a"), ("three", "b")]
    report = inspect(table(*rows))
    assert report.fatal is None
    assert secret not in report.model_dump_json()


def test_a_report_survives_its_json(inspect: Inspect) -> None:
    report = inspect(table(("one", "a"), ("one", "b"), ("two", "a"), ("three", "b")))
    assert Report.model_validate(json.loads(report.model_dump_json())) == report


def test_duplicates_and_conflicts_are_found_across_a_large_file(inspect: Inspect) -> None:
    rows = [(f"text {row % 90_000}", "a" if row < 99_999 else "b") for row in range(100_000)]
    report = inspect(table(*rows, ("last", "b")), rows=200_000)
    assert report.duplicates.model_dump() == {"groups": 10_000, "rows": 10_000}
    assert report.conflicts == (Conflict(lines=(10_001, 100_001), labels=("a", "b")),)
