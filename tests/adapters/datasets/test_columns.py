"""How the columns of text and label are found."""

from __future__ import annotations

import pytest

from tests.adapters.datasets.conftest import Inspect
from zoo.errors import InvalidInput


@pytest.mark.parametrize(
    ("header", "text", "label"),
    [
        ("text,label", "text", "label"),
        ("Sentence,Class", "Sentence", "Class"),
        ("id,utterance,intent", "utterance", "intent"),
        ("tweet_text,user name,sentiment", "tweet_text", "sentiment"),
        ("text,label_text,label", "text", "label"),
        (",review,target", "review", "target"),
    ],
)
def test_known_names_are_found(inspect: Inspect, header: str, text: str, label: str) -> None:
    cells = header.count(",") + 1
    rows = "".join(",".join(f"v{row % 3}c{cell}r{row}" for cell in range(cells)) + "\n" for row in range(6))
    assert inspect(header + "\n" + rows).columns == {"text": text, "label": label}


def test_without_known_names_the_values_decide(inspect: Inspect) -> None:
    rows = "".join(f"{row},kind{row % 2},the words of ticket number {row},0.{row}\n" for row in range(10))
    report = inspect("a,b,c,d\n" + rows)
    assert report.columns == {"text": "c", "label": "b"}
    assert report.ignored_columns == ("a", "d")
    assert report.problem_counts["ignored_columns"] == 1


def test_the_choice_of_the_caller_wins(inspect: Inspect) -> None:
    content = "text,label,topic\ngood,a,x\nbad,b,y\n"
    assert inspect(content, columns={"label": "topic"}).columns == {"text": "text", "label": "topic"}


@pytest.mark.parametrize("columns", [{"label": "nothing"}, {"colour": "label"}, {"text": "label", "label": "label"}])
def test_a_wrong_choice_is_invalid_input(inspect: Inspect, columns: dict[str, str]) -> None:
    with pytest.raises(InvalidInput) as caught:
        inspect("text,label\ngood,a\nbad,b\n", columns=columns)
    assert (caught.value.code, caught.value.param) == ("unknown_column", "columns")


def test_no_column_of_labels_is_refused_with_what_there_is(inspect: Inspect) -> None:
    fatal = inspect('{"text": "good"}\n{"text": "bad"}\n').fatal
    assert fatal is not None
    assert fatal.code == "column_not_found"
    assert "'text'" in fatal.message
    assert "columns=" in fatal.fix


def test_a_key_that_no_report_can_hold_is_passed_over(inspect: Inspect) -> None:
    report = inspect('{"text": "good", "label": "a", "\\ud800": 1}\n{"text": "bad", "label": "b"}\n')
    assert report.fatal is None
    assert report.model_dump_json()
