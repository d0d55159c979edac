"""Rows whose texts carry entities or answers: what is read, and which row and span is at fault."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.datasets import Example, Report, Span, inspect_file, read_examples
from adapters.datasets.limits import Limits

LIMITS = Limits(rows=1000, row_bytes=65536, labels=100)
Inspected = tuple[Report, list[Example]]
Inspect = Callable[..., Inspected]


@pytest.fixture
def inspect(tmp_path: Path) -> Inspect:
    """The report on a file of these rows, and the examples that it gives."""

    def made(*rows: object, content: str | None = None, task: str | None = None, limits: Limits = LIMITS) -> Inspected:
        path = tmp_path / "data.jsonl"
        path.write_text(content or "".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        report = inspect_file(path, limits=limits, task=task)
        return report, [] if report.fatal else list(read_examples(path, report))

    return made


GOOD: list[dict[str, Any]] = [
    {"tokens": ["Ann", "Lee", "sings"], "ner_tags": ["B-PER", "I-PER", "O"]},
    {"tokens": ["in", "Rome"], "ner_tags": ["O", "B-LOC"]},
    {"tokens": ["it", "rains"], "ner_tags": ["O", "O"]},
]


def test_words_and_tags_are_known_for_what_they_are(inspect: Inspect) -> None:
    report, examples = inspect(*GOOD)
    assert (report.task, report.columns) == ("token-classification", {"text": "tokens", "spans": "ner_tags"})
    assert (report.rows, report.usable_rows, report.labels) == (3, 3, ("LOC", "PER"))
    assert [(one.label, one.count) for one in report.classes] == [("LOC", 1), ("PER", 1)]
    assert report.spans is not None and (report.spans.count, report.spans.rows_without) == (2, 1)
    assert [one.values["text"] for one in examples] == ["Ann Lee sings", "in Rome", "it rains"]
    assert [one.spans for one in examples] == [(Span("PER", 0, 7),), (Span("LOC", 3, 7),), ()]
    assert [one.stratum for one in examples] == ["PER", "LOC", ""]


@pytest.mark.parametrize(
    "spans",
    [
        [{"start": 0, "end": 7, "label": "PER"}, {"start": 11, "end": 15, "label": "LOC"}],
        [{"start": 11, "end": 15, "type": "LOC", "text": "Rome"}, {"start": 0, "end": 7, "type": "PER"}],
        [[11, 15, "LOC"], [0, 7, "PER"]],
        [{"start": 0, "end": 8, "entity": "PER"}, {"start": 10.0, "end": 15, "entity": "LOC"}],
    ],
    ids=["objects", "any-order", "triples", "spaces-at-the-edge"],
)
def test_spans_in_a_text_are_read_in_the_forms_of_other_tools(inspect: Inspect, spans: list[Any]) -> None:
    row = {"text": "Ann Lee in Rome", "entities": spans}
    report, examples = inspect(row, {"text": "it rains", "entities": []})
    assert (report.task, report.usable_rows) == ("token-classification", 2)
    assert examples[0].spans == (Span("PER", 0, 7), Span("LOC", 11, 15))


def test_neighbours_of_one_kind_stay_apart(inspect: Inspect) -> None:
    _, examples = inspect({"tokens": ["a", "b", "c"], "tags": ["B-X", "B-X", "I-X"]}, GOOD[2] | {"tags": ["O", "O"]})
    assert examples[0].spans == (Span("X", 0, 1), Span("X", 2, 5))


@pytest.mark.parametrize(
    ("row", "code", "said"),
    [
        ({"tokens": ["a", "b"], "ner_tags": ["O"]}, "tag_count", "2 words and 1 tags"),
        ({"tokens": ["a", "b"], "ner_tags": ["O", "I-PER"]}, "impossible_tags", "tag 2 goes on"),
        ({"tokens": ["a", "b"], "ner_tags": ["B-LOC", "I-PER"]}, "impossible_tags", "tag 2 goes on"),
        ({"tokens": ["a"], "ner_tags": ["PER"]}, "invalid_tag", "tag 1 is neither O nor B-"),
        ({"tokens": ["a"], "ner_tags": ["S-PER"]}, "invalid_tag", "tag 1 is neither"),
        ({"tokens": ["a"], "ner_tags": [3]}, "invalid_tag", "tag 1 is no string"),
        ({"tokens": ["a", ""], "ner_tags": ["O", "O"]}, "wrong_type", "word 2 is empty"),
        ({"tokens": [], "ner_tags": []}, "empty_text", "no words"),
        ({"tokens": ["a"], "ner_tags": "O"}, "wrong_type", "no list"),
        ({"tokens": ["\ud800"], "ner_tags": ["O"]}, "invalid_text", "surrogate"),
        ({"tokens": ["a", "b"], "ner_tags": ["O", "B-\ud800"]}, "invalid_text", "tag 2 holds half of a surrogate pair"),
    ],
)
def test_a_row_of_tags_that_cannot_be_is_named_and_left_out(
    inspect: Inspect, row: dict[str, Any], code: str, said: str
) -> None:
    report, examples = inspect(*GOOD, row)
    (problem,) = [one for one in report.problems if one.level == "error"]
    assert (problem.code, problem.line, problem.row) == (code, 4, 4)
    assert said in problem.message and problem.fix
    assert (report.usable_rows, len(examples)) == (3, 3)


@pytest.mark.parametrize(
    ("span", "code", "said"),
    [
        ({"start": 0, "end": 4, "label": "X", "text": "Rome"}, "span_mismatch", "it stands at 11"),
        ({"start": 0, "end": 4, "label": "X", "text": "Oslo"}, "span_mismatch", "nowhere"),
        ({"start": 11, "end": 15, "label": "O"}, "invalid_span", "the label of span 2 is O"),
        ({"start": 11, "end": 16, "label": "X"}, "span_outside", "from 11 to 16, but the text has 15 characters"),
        ({"start": 5, "end": 5, "label": "X"}, "span_outside", "from 5 to 5"),
        ({"start": "a", "end": 5, "label": "X"}, "invalid_span", "whole number"),
        ({"start": 0.5, "end": 5, "label": "X"}, "invalid_span", "whole number"),
        ({"start": 0, "end": 3}, "invalid_span", "or a label"),
        ({"start": 3, "end": 4, "label": "X"}, "invalid_span", "spaces alone"),
        ({"start": 0, "end": 3, "label": "X" * 201}, "label_too_long", "span 2"),
        (
            {"start": 0, "end": 3, "label": "\udfff"},
            "invalid_text",
            "the label of span 2 holds half of a surrogate pair",
        ),
        ({"start": 4, "end": 9, "label": "X"}, "overlapping_spans", "spans 1 and 2 overlap"),
    ],
)
def test_the_span_at_fault_is_named(inspect: Inspect, span: dict[str, Any], code: str, said: str) -> None:
    good = {"text": "Ann Lee in Rome", "spans": [{"start": 0, "end": 7, "label": "PER"}]}
    bad = {"text": "Ann Lee in Rome", "spans": [{"start": 4, "end": 7, "label": "PER"}, span]}
    report, _ = inspect(good, bad, good | {"text": "Ann Lee in Oslo"})
    (problem,) = [one for one in report.problems if one.level == "error"]
    assert (problem.code, problem.line) == (code, 2)
    assert said in problem.message
    assert "Ann" not in problem.message  # no report holds a user's text


def test_lists_of_labels_are_not_taken_for_entities(inspect: Inspect) -> None:
    report, _ = inspect(*({"text": f"text {row}", "labels": ["a", "b"]} for row in range(4)))
    assert report.task == "text-classification"


def test_a_file_without_any_entity_is_refused(inspect: Inspect) -> None:
    report, _ = inspect(GOOD[2], GOOD[2] | {"tokens": ["it", "snows"]})
    assert report.fatal is not None and report.fatal.code == "no_spans"


MET = " Ann met Lee in Rome."
ASKED: list[dict[str, Any]] = [
    {"question": "Who?", "context": MET, "answers": {"text": ["Ann", "Ann met"], "answer_start": [1, 1]}},
    {"question": "Where?", "context": MET, "answers": [{"text": "Rome", "answer_start": 16}]},
    {"question": "Why?", "context": "It rains.", "answers": {"text": [], "answer_start": []}},
]


def test_questions_and_answers_are_known_for_what_they_are(inspect: Inspect) -> None:
    report, examples = inspect(*ASKED)
    roles = {"question": "question", "context": "context", "answers": "answers"}
    assert (report.task, report.columns, report.labels) == ("question-answering", roles, ())
    assert report.spans is not None and (report.spans.count, report.spans.rows_without) == (3, 1)
    assert [one.spans for one in examples] == [(Span("", 1, 4), Span("", 1, 8)), (Span("", 16, 20),), ()]
    assert examples[0].values == {"question": "Who?", "context": " Ann met Lee in Rome."}
    assert examples[0].content == examples[1].content != examples[2].content
    assert [one.stratum for one in examples] == ["", "", "no answer"]


def test_plain_columns_need_no_place_where_the_answer_stands_once(inspect: Inspect) -> None:
    rows = ("Who?,Ann and Ann,Ann,8", "Where?,in Rome,Rome,", "Why?,it rains,rains,3")
    table = "\n".join(["question,context,answer,answer_start", *rows])
    report, examples = inspect(content=table)
    assert (report.task, report.format, report.usable_rows) == ("question-answering", "csv", 3)
    assert [one.spans for one in examples] == [(Span("", 8, 11),), (Span("", 3, 7),), (Span("", 3, 8),)]
    report, examples = inspect(
        {"question": "Where?", "context": "in Rome", "answer": "Rome"},
        {"question": "Who?", "context": "by Ann", "answer": "Ann"},
    )
    assert examples[0].spans == (Span("", 3, 7),)


def test_a_place_may_stand_behind_many_spaces(inspect: Inspect) -> None:
    _, examples = inspect(*ASKED, ASKED[1] | {"answers": [{"text": "Rome", "answer_start": " " * 25 + "16"}]})
    assert examples[3].spans == (Span("", 16, 20),)


@pytest.mark.parametrize(
    ("changed", "code", "said"),
    [
        ({"answers": {"text": ["Rome"], "answer_start": [15]}}, "answer_mismatch", "it stands at 16"),
        ({"answers": {"text": ["Oslo"], "answer_start": [16]}}, "answer_mismatch", "nowhere"),
        ({"answers": {"text": ["Rome"], "answer_start": []}}, "invalid_answer", "lack"),
        ({"answers": {"text": ["Rome"], "answer_start": ["x"]}}, "invalid_answer", "no whole number"),
        ({"answers": {"text": ["Rome"], "answer_start": [10**300]}}, "invalid_answer", "no whole number"),
        ({"answers": {"text": ["Rome"], "answer_start": ["1" * 5000]}}, "invalid_answer", "up to 15 digits"),
        ({"answers": [{"text": "", "answer_start": 0}]}, "missing_answer", "answer 1 is missing"),
        ({"answers": None}, "missing_answer", "answer 1 is missing"),
        ({"answers": "n"}, "answer_place", "stands 3 times"),
        ({"question": ""}, "empty_question", "the question is empty"),
        ({"context": None}, "empty_context", "the context is empty"),
    ],
)
def test_the_answer_at_fault_is_named(inspect: Inspect, changed: dict[str, Any], code: str, said: str) -> None:
    row = ASKED[1] | {"context": MET, "answers": []} | changed
    report, examples = inspect(*ASKED, row)
    (problem,) = [one for one in report.problems if one.level == "error"]
    assert (problem.code, problem.line) == (code, 4)
    assert said in problem.message
    assert len(examples) == 3


def squad(*, indent: int | None = None, **article: Any) -> str:
    paragraphs = [
        {"context": one["context"], "qas": [{"id": str(place), "question": one["question"], "answers": answers}]}
        for place, one in enumerate(ASKED)
        for answers in [one["answers"] if isinstance(one["answers"], list) else []]
    ]
    return json.dumps(
        {"version": "v2.0", "data": [{"title": "t", "paragraphs": paragraphs, **article}] * 2}, indent=indent
    )


@pytest.mark.parametrize("indent", [None, 1])
def test_squads_json_gives_a_row_for_each_question(inspect: Inspect, indent: int | None) -> None:
    report, examples = inspect(content=squad(indent=indent))
    assert (report.task, report.format, report.rows) == ("question-answering", "squad", 6)
    assert [len(one.spans) for one in examples] == [0, 1, 0, 0, 1, 0]
    assert examples[3].row == 4 and (examples[3].line > 10) == (indent is not None)


def test_squads_json_may_tell_more_of_itself_before_its_data(inspect: Inspect) -> None:
    told = '{"title": "help desk", "language": "en", "version": 2, "data"'
    report, examples = inspect(content=squad().replace('{"version": "v2.0", "data"', told))
    assert (report.task, report.format, len(examples)) == ("question-answering", "squad", 6)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (squad()[:-40], "invalid_json"),
        (squad(paragraphs=None), "invalid_squad"),
        (squad(paragraphs=[{"context": "a"}]), "invalid_squad"),
        (squad(paragraphs=[{"context": "a", "qas": [1]}]), "invalid_squad"),
        ('{"data": [1]}', "invalid_squad"),
        ('{"data": []}', "no_rows"),
        ('{"data": [{"x": NaN}]}', "invalid_json"),
    ],
)
def test_a_broken_squad_file_is_refused_with_a_line(inspect: Inspect, content: str, code: str) -> None:
    report, _ = inspect(content=content)
    assert report.fatal is not None
    assert (report.fatal.code, report.fatal.line) == (code, 1)


def test_an_infinite_place_in_a_squad_file_is_a_fault_of_its_row(inspect: Inspect) -> None:
    report, examples = inspect(content=squad().replace('"answer_start": 16', '"answer_start": 1e999', 1))
    (problem,) = [one for one in report.problems if one.level == "error"]
    assert (problem.code, problem.line, problem.row) == ("invalid_answer", 1, 2)
    assert problem.message.startswith("Row 2: answer_start of answer 1")
    assert (report.rows, len(examples)) == (6, 5)


@pytest.mark.parametrize(
    "changed",
    [
        {"context": "word " * 14_000},
        {"question": "é" * 33_000},
        {"answers": [{"text": "a", "answer_start": 0}] * 2_000},
    ],
    ids=["context", "question", "answers"],
)
def test_a_question_over_the_limit_of_bytes_is_refused_with_its_row(inspect: Inspect, changed: dict[str, Any]) -> None:
    row = {"context": "a b", "question": "Who?", "answers": []} | changed
    long = {"context": row.pop("context"), "qas": [row]}
    good = {"context": "a b", "qas": [{"question": "Who?", "answers": []}] * 2}
    report, _ = inspect(content=squad(paragraphs=[good, long]))
    assert report.fatal is not None
    assert (report.fatal.code, report.fatal.line, report.fatal.row) == ("row_too_long", 1, 3)
    assert report.fatal.message == "Row 3: the row, with its context, is longer than 65,536 bytes."


def test_many_questions_on_one_context_count_it_each_time(inspect: Inspect) -> None:
    asked = [{"context": "word " * 200, "qas": [{"question": "Who?", "answers": []}] * 100}]
    report, _ = inspect(content=squad(paragraphs=asked), limits=replace(LIMITS, total_bytes=50_000))
    assert report.fatal is not None
    assert (report.fatal.code, report.fatal.row) == ("too_many_rows", 47)
    assert "longer than 50,000 bytes" in report.fatal.message


def test_an_article_longer_than_a_block_is_read(inspect: Inspect) -> None:
    long = [{"context": "word " * 12_000 + "end.", "qas": [{"question": "Where?", "answers": []}]}] * 40
    report, _ = inspect(content=squad(paragraphs=[*long, {"context": "a b", "qas": [
        {"question": "Who?", "answers": [{"text": "b", "answer_start": 2}]}]}]))  # fmt: skip
    assert (report.rows, report.usable_rows) == (82, 82)
