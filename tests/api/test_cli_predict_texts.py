"""How entities and answers are shown: underlined in their text, in their sentence."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from api.cli import app
from api.commands.answers import answer_view
from tests.api.canned_service import TICKETS, CannedService, canned_service

PATH = "/v1/models/tickets/predict"
TEXT = "Angela Merkel was born in Hamburg."
ENTITIES = [
    {"entity_group": "PER", "score": 0.998, "word": "angela merkel", "start": 0, "end": 13},
    {"entity_group": "LOC", "score": 0.9, "word": "hamburg", "start": 26, "end": 33},
]
MANUAL = "The pump is old. Turn the second\nvalve, which is in the hall, please. Then call Ann."


@pytest.fixture
def service() -> Iterator[CannedService]:
    with canned_service() as running:
        running.says("GET", "/v1/models/tickets", TICKETS)
        yield running


def zoo(service: CannedService, *words: str) -> Result:
    return CliRunner().invoke(app, ["predict", "tickets", *words, "--url", service.url])


def lines(result: Result) -> list[str]:
    assert result.exit_code == 0
    return [line.rstrip() for line in result.stdout.splitlines()]


def test_entities_are_underlined_and_listed(service: CannedService) -> None:
    service.says("POST", PATH, [ENTITIES])
    shown = lines(zoo(service, TEXT))
    assert shown[1:3] == ["  " + TEXT, "  " + "\u2594" * 13 + " " * 13 + "\u2594" * 7]
    assert [line.split() for line in shown[3:]] == [["PER", "0.998", "Angela", "Merkel"], ["LOC", "0.900", "Hamburg"]]


def test_marks_stand_below_wide_letters(service: CannedService) -> None:
    service.says("POST", PATH, [[{"entity": "B-LOC", "score": 0.5, "word": "x", "start": 2, "end": 4, "index": 3}]])
    assert lines(zoo(service, "\u5728\u4e86\u4e0a\u6d77"))[1:3] == [
        "  \u5728\u4e86\u4e0a\u6d77",
        "      " + "\u2594" * 4,
    ]


def test_what_could_steer_the_terminal_is_replaced_and_marks_keep_their_place(service: CannedService) -> None:
    text = "a\tcar\u00a0of\r\x1b[31mAnn\u0301 \u202eLee"
    at = text.index("Ann")
    service.says("POST", PATH, [[{"entity_group": "PER", "score": 1.0, "word": "x", "start": at, "end": at + 4}]])
    line, marks = lines(zoo(service, text))[1:3]
    assert line == "  a car of \ufffd[31mAnn\u0301 \ufffdLee"
    assert marks == " " * 16 + "\u2594" * 3


def test_a_narrow_window_breaks_lines_before_they_are_marked() -> None:
    told = Console(width=24, file=io.StringIO())
    told.print(*answer_view(TEXT, ENTITIES), sep="\n")
    shown = told.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert [line.rstrip() for line in shown[2:6]] == [
        "  Angela Merkel was",
        "  " + "\u2594" * 13,
        "  born in Hamburg.",
        " " * 10 + "\u2594" * 7,
    ]


def test_sentences_end_as_their_language_has_it(service: CannedService) -> None:
    text = "\u4ed6\u5728\u3002\u5979\u5728\u4e0a\u6d77\u3002\u597d\u3002"
    service.says("POST", PATH, [{"answer": "\u4e0a\u6d77", "score": 0.7, "start": 5, "end": 7}])
    shown = lines(zoo(service, "\u5728\u54ea\u91cc\uff1f", "--context", text))
    assert shown[2:] == [" " * 9 + "\u5979\u5728\u4e0a\u6d77\u3002", " " * 13 + "\u2594" * 4]


def test_of_a_long_text_the_lines_with_entities_are_shown(service: CannedService) -> None:
    text = "nothing here " * 40 + TEXT
    at = text.index("Angela")
    service.says("POST", PATH, [[{**ENTITIES[0], "start": at, "end": at + 13}]])
    shown = lines(zoo(service, text))
    assert len(shown) == 4 and "Angela Merkel" in shown[1]
    assert shown[2].index("\u2594") == shown[1].index("Angela")


def test_a_text_without_entities_says_so(service: CannedService) -> None:
    service.says("POST", PATH, [[]])
    assert lines(zoo(service, "it rains"))[1] == "  nothing found"


def test_a_question_is_sent_with_its_context_and_answered_in_its_sentence(service: CannedService) -> None:
    at = MANUAL.index("in the hall")
    service.says("POST", PATH, [{"answer": "in the hall", "score": 0.7, "start": at, "end": at + 11}])
    shown = lines(zoo(service, "Where is it?", "--context", MANUAL))
    (call,) = service.asked("POST", PATH)
    assert call.json()["inputs"] == [{"question": "Where is it?", "context": MANUAL}]
    assert shown == [
        "Where is it?",
        "  0.700  in the hall",
        " " * 9 + "valve, which is in the hall, please.",
        " " * 9 + " " * 16 + "\u2594" * 11,
    ]


def test_the_context_may_be_a_file(service: CannedService, tmp_path: Path) -> None:
    (tmp_path / "manual.txt").write_text(MANUAL, encoding="utf-8")
    service.says("POST", PATH, [[{"answer": "", "score": 0.6, "start": 0, "end": 0}]])
    shown = lines(zoo(service, "Whose is it?", "--context", str(tmp_path / "manual.txt"), "--top-k", "2"))
    (call,) = service.asked("POST", PATH)
    assert call.json()["inputs"][0]["context"] == MANUAL
    assert shown[1] == "  0.600  no answer"


@pytest.mark.parametrize(
    ("code", "option"),
    [
        ("invalid_question", "--context TEXT or FILE"),
        ("labels_missing", "--labels A,B,\u2026"),
        ("invalid_sentences", "--source TEXT"),
    ],
)
def test_what_the_service_misses_is_named_as_an_option(service: CannedService, code: str, option: str) -> None:
    service.refuses("POST", PATH, 422, code, "Something is missing.")
    result = zoo(service, "Where is it?")
    assert result.exit_code == 65
    assert result.stderr.strip() == f"error: Something is missing. Here it is given by {option}."


def test_json_is_the_services_answer(service: CannedService) -> None:
    answer: list[Any] = [{"answer": "\x1b\u00a0Ann\t\u4e0a", "score": 0.7, "start": 82, "end": 85}]
    service.says("POST", PATH, answer)
    assert json.loads(zoo(service, "Who?", "--context", MANUAL, "--json").stdout) == answer
