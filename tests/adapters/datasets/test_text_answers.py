"""Tables of texts and pairs with a label, several labels or a score: columns, rows that are left out, the report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from adapters.datasets import Example, Limits, Report, inspect_file, read_examples
from tests.adapters.datasets.conftest import Inspect
from zoo.errors import InvalidInput

LIMITS = Limits(rows=1000, row_bytes=65536, labels=100)


def jsonl(*rows: dict[str, object]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def read(tmp_path: Path, content: str) -> tuple[Report, list[Example]]:
    path = tmp_path / "rows"
    path.write_text(content, encoding="utf-8")
    report = inspect_file(path, limits=LIMITS)
    return report, list(read_examples(path, report))


SEVERAL = jsonl(
    {"text": "parcel late and wet", "labels": ["late", "damaged"]},
    {"text": "parcel late", "labels": ["late"]},
    {"text": "thanks", "labels": []},
    {"text": "parcel lost", "labels": ["lost", "late", "lost"]},
)


def test_lists_of_labels_are_labels_that_may_all_apply(tmp_path: Path) -> None:
    report, examples = read(tmp_path, SEVERAL)
    assert report.columns == {"text": "text", "labels": "labels"}
    assert report.labels == ("damaged", "late", "lost")
    assert [(each.label, each.count, each.share) for each in report.classes] == [
        ("late", 3, 0.75), ("damaged", 1, 0.25), ("lost", 1, 0.25),
    ]  # fmt: skip
    assert [example.labels for example in examples] == [("late", "damaged"), ("late",), (), ("lost", "late")]


def test_an_example_of_several_labels_counts_as_one_of_the_rarest(tmp_path: Path) -> None:
    _, examples = read(tmp_path, SEVERAL)
    assert [example.stratum for example in examples] == ["damaged", "late", "", "lost"]


@pytest.mark.parametrize(
    "cells",
    [('"[""late"", ""lost""]"', '"[""late""]"'), ("late|lost", "late"), ("late; lost", "late;")],
    ids=["json", "bar", "semicolon"],
)
def test_a_chosen_column_of_a_table_may_hold_several_labels_in_a_cell(inspect: Inspect, cells: tuple[str, str]) -> None:
    content = f"text,tags\nparcel gone,{cells[0]}\nparcel slow,{cells[1]}\n"
    report = inspect(content, columns={"labels": "tags"})
    assert (report.labels, report.usable_rows) == (("late", "lost"), 2)


def test_the_same_text_under_other_sets_of_labels_is_a_conflict(inspect: Inspect) -> None:
    rows: list[dict[str, object]] = [{"text": "late", "labels": names} for names in (["a", "b"], ["a"])]
    report = inspect(jsonl(*rows, {"text": "lost", "labels": ["a", "b"]}, {"text": "wet", "labels": ["a"]}))
    assert (report.conflicting_rows, report.usable_rows) == (2, 2)
    assert [conflict.labels for conflict in report.conflicts] == [("a", "a, b")]
    assert {each.label: each.count for each in report.classes} == {"a": 2, "b": 1}


def test_labels_that_apply_to_all_rows_teach_nothing(inspect: Inspect) -> None:
    fatal = inspect(jsonl({"text": "late", "labels": ["a"]}, {"text": "lost", "labels": ["a"]})).fatal
    assert fatal is not None and fatal.code == "one_label"


@pytest.mark.parametrize(
    ("labels", "code"),
    [
        (None, "missing_labels"),
        ([None], "missing_label"),
        ([["a"]], "wrong_type"),
        (["x" * 201], "label_too_long"),
    ],
    ids=["null", "null-in-list", "list-in-list", "long"],
)
def test_a_row_whose_labels_cannot_be_used_is_left_out(inspect: Inspect, labels: object, code: str) -> None:
    report = inspect(SEVERAL + jsonl({"text": "odd", "labels": labels}))
    assert (report.usable_rows, report.problem_counts[code]) == (4, 1)
    assert (report.problems[0].line, report.problems[0].column) == (5, "labels")


def test_scores_are_numbers_to_learn(tmp_path: Path) -> None:
    report, examples = read(tmp_path, "text,score\nfine,4.5\nbad,-1\nso so,2\n")
    assert report.columns == {"text": "text", "score": "score"}
    assert report.scores is not None
    assert report.scores.model_dump() == {"min": -1.0, "median": 2.0, "max": 4.5, "distinct": 3}
    assert [example.values["score"] for example in examples] == ["4.5", "-1", "2"]
    assert report.classes == () and report.labels == ()


@pytest.mark.parametrize(
    ("header", "cells", "role"),
    [
        ("text,label", ("3.5", "1.0"), "score"),
        ("text,label", ("1.0", "0.0"), "label"),
        ("text,label", ("3", "1"), "label"),
        ("text,rating", ("3", "1"), "score"),
        ("text,rating", ("good", "bad"), "label"),
    ],
    ids=["fractions", "whole-with-a-point", "whole", "ratings", "words"],
)
def test_numbers_are_scores_by_their_name_or_their_fractions(
    inspect: Inspect, header: str, cells: tuple[str, str], role: str
) -> None:
    rows = "".join(f"text {row},{cells[row % 2]}\n" for row in range(6))
    assert set(inspect(f"{header}\n{rows}").columns) == {"text", role}


def test_a_label_beside_a_score_is_what_is_learnt(inspect: Inspect) -> None:
    report = inspect("text,label,score\ngood,a,0.5\nbad,b,0.25\n")
    assert report.columns == {"text": "text", "label": "label"}


@pytest.mark.parametrize("cell", ["high", "4;5", "1e999", "nan1"], ids=["word", "comma", "infinite", "nearly-nan"])
def test_a_score_that_is_no_number_is_named(inspect: Inspect, cell: str) -> None:
    report = inspect(f"text,score\ngood,1.5\nbad,0.5\nodd,{cell}\n", columns={"score": "score"})
    assert (report.usable_rows, report.problem_counts["score_not_a_number"]) == (2, 1)
    assert (report.problems[0].line, report.problems[0].row, report.problems[0].column) == (4, 3, "score")


def test_a_missing_score_is_named(inspect: Inspect) -> None:
    report = inspect(jsonl({"text": "a", "score": 1.5}, {"text": "b", "score": 2}, {"text": "c", "score": None}))
    assert report.problem_counts["missing_score"] == 1


def test_one_score_for_all_teaches_nothing(inspect: Inspect) -> None:
    fatal = inspect("text,score\ngood,2\nbad,2.0\n").fatal
    assert fatal is not None and (fatal.code, fatal.line) == ("one_score", 2)


def test_a_second_text_is_read_with_the_first(tmp_path: Path) -> None:
    report, examples = read(tmp_path, "premise,hypothesis,label\nlate,slow,yes\nlate,fast,no\nlate,fast,no\n")
    assert report.columns == {"text": "premise", "text_pair": "hypothesis", "label": "label"}
    assert examples[0].values == {"text": "late", "text_pair": "slow", "label": "yes"}
    assert (report.conflicting_rows, report.duplicates.rows) == (0, 1)
    assert examples[0].content != examples[1].content == examples[2].content


def test_a_second_text_is_not_needed(inspect: Inspect) -> None:
    report = inspect("text,label\ngood,a\nbad,b\n")
    assert report.columns == {"text": "text", "label": "label"}


def test_an_empty_second_text_is_named(inspect: Inspect) -> None:
    report = inspect("text,text_pair,label\na,b,x\nc,d,y\ne,,y\n")
    assert report.problem_counts["empty_text_pair"] == 1
    assert (report.problems[0].line, report.problems[0].column) == (4, "text_pair")


def test_of_label_labels_and_score_one_is_chosen(inspect: Inspect) -> None:
    with pytest.raises(InvalidInput, match="labels, label, score") as caught:
        inspect("text,a,b\nx,1,2\n", columns={"label": "a", "score": "b"})
    assert caught.value.code == "unknown_column"
