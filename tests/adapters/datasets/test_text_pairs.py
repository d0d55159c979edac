"""Tables of two texts that are alike, with a score or without: what they are for, and rows that are left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.datasets import Limits, Report, inspect_file, read_examples

LIMITS = Limits(rows=1000, row_bytes=65536, labels=100)
PAIRS = "anchor,positive\nlate,slow\nlost,gone\n"
SCORED = "sentence1,sentence2,score\nlate,slow,4.5\nlost,here,0\n"


def report_on(tmp_path: Path, content: str, *, task: str | None = None) -> Report:
    path = tmp_path / "rows"
    path.write_text(content, encoding="utf-8")
    return inspect_file(path, limits=LIMITS, task=task)


@pytest.mark.parametrize(
    ("header", "task"),
    [
        ("sentence1,sentence2,score", "sentence-similarity"),
        ("Sentence_A,sentence_B,relatedness_score", "sentence-similarity"),
        ("sentence1,sentence2", "sentence-similarity"),
        ("anchor,positive", "sentence-similarity"),
        ("text,text_pair", "sentence-similarity"),
        ("sentence1,sentence2,label", "text-classification"),
        ("sentence_A,sentence_B,relatedness_score,entailment_label", "text-classification"),
        ("text,score", "text-classification"),
    ],
)
def test_the_columns_say_what_pairs_are_for(tmp_path: Path, header: str, task: str) -> None:
    cells = header.count(",") + 1
    rows = "".join(",".join(["late", "slow", "1.5", "yes"][:cells]) + "\n" for _ in range(2))
    assert report_on(tmp_path, f"{header}\n{rows}").task == task


def test_scored_pairs_have_two_texts_and_a_number(tmp_path: Path) -> None:
    report = report_on(tmp_path, SCORED)
    assert report.fatal is None
    assert report.columns == {"text": "sentence1", "text_pair": "sentence2", "score": "score"}
    assert report.scores is not None and (report.scores.min, report.scores.max) == (0.0, 4.5)
    (first, _) = read_examples(tmp_path / "rows", report)
    assert first.values == {"text": "late", "text_pair": "slow", "score": "4.5"}


def test_pairs_need_no_score(tmp_path: Path) -> None:
    report = report_on(tmp_path, PAIRS)
    assert (report.fatal, report.scores, report.usable_rows) == (None, None, 2)
    assert report.classes == ()


@pytest.mark.parametrize(
    ("row", "code", "column"),
    [
        (",slow,3", "empty_text", "sentence1"),
        ("late,,3", "empty_text_pair", "sentence2"),
        ("late,slow,high", "score_not_a_number", "score"),
        ("late,slow,", "missing_score", "score"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(tmp_path: Path, row: str, code: str, column: str) -> None:
    report = report_on(tmp_path, SCORED + row + "\n")
    assert (report.usable_rows, report.problem_counts[code]) == (2, 1)
    found = report.problems[0]
    assert (found.line, found.row, found.column) == (4, 3, column)
    assert found.fix


def test_a_pair_of_equal_texts_teaches_nothing_without_a_score(tmp_path: Path) -> None:
    report = report_on(tmp_path, PAIRS + "late,Late\n")
    assert (report.usable_rows, report.problem_counts["equal_texts"]) == (2, 1)
    assert report_on(tmp_path, SCORED + "late,late,5\n").usable_rows == 3


def test_one_score_for_all_pairs_is_refused(tmp_path: Path) -> None:
    fatal = report_on(tmp_path, "sentence1,sentence2,score\nlate,slow,1\nlost,gone,1\n").fatal
    assert fatal is not None and fatal.code == "one_score"


def test_one_pair_again_and_again_is_refused(tmp_path: Path) -> None:
    fatal = report_on(tmp_path, "anchor,positive\nlate,slow\nlate,slow\n").fatal
    assert fatal is not None and fatal.code == "one_text"


def test_a_table_of_one_text_is_refused_for_the_task(tmp_path: Path) -> None:
    fatal = report_on(tmp_path, "text,label\nlate,a\nlost,b\n", task="sentence-similarity").fatal
    assert fatal is not None and fatal.code == "column_not_found"
    assert "text_pair" in fatal.message
