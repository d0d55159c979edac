from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from api.cli import app
from tests.api.canned_service import TICKETS, CannedService, canned_service

PATH = "/v1/models/tickets/predict"
SCORES = [{"label": "billing", "score": 0.75}, {"label": "returns", "score": 0.25}]


@pytest.fixture
def service() -> Iterator[CannedService]:
    with canned_service() as running:
        running.says("GET", "/v1/models/tickets", TICKETS)
        yield running


def sent(service: CannedService) -> Any:
    """The body of the one question that was asked."""
    (call,) = service.asked("POST", PATH)
    return call.json()


def zoo(service: CannedService, *words: str) -> Result:
    return CliRunner().invoke(app, ["predict", "tickets", *words, "--url", service.url])


def test_labels_are_shown_with_score_and_bar(service: CannedService) -> None:
    service.says("POST", PATH, [SCORES])
    result = zoo(service, "refund please")
    assert result.exit_code == 0
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines == [["refund", "please"], ["billing", "0.750", "█" * 18], ["returns", "0.250", "█" * 6]]


def test_all_texts_and_lines_of_a_file_go_in_one_request(service: CannedService, tmp_path: Path) -> None:
    file = tmp_path / "lines.txt"
    file.write_text("two\n\nthrée\n", encoding="utf-8")
    service.says("POST", PATH, [SCORES] * 3)
    zoo(service, "one", "--file", str(file))
    assert sent(service) == {"inputs": ["one", "two", "thrée"], "parameters": {}}


def test_top_k_and_parameters_are_passed_on(service: CannedService) -> None:
    service.says("POST", PATH, [SCORES])
    zoo(service, "one", "--top-k", "1", "--parameters", '{"function_to_apply": "sigmoid"}')
    assert sent(service)["parameters"] == {"function_to_apply": "sigmoid", "top_k": 1}


def test_a_second_text_goes_with_each(service: CannedService) -> None:
    service.says("POST", PATH, [SCORES, SCORES])
    result = zoo(service, "late", "lost", "--pair", "gone")
    assert sent(service)["inputs"] == [{"text": text, "text_pair": "gone"} for text in ("late", "lost")]
    assert "late | gone" in result.stdout


def test_labels_to_choose_from_are_passed_on(service: CannedService) -> None:
    service.says("POST", PATH, [SCORES])
    zoo(service, "one", "--labels", "billing, returns,")
    assert sent(service)["parameters"] == {"candidate_labels": ["billing", "returns"]}


def test_texts_are_compared_with_a_source(service: CannedService) -> None:
    service.says("POST", PATH, [[0.75, -0.25]])
    result = zoo(service, "late", "lost", "--source", "gone")
    assert sent(service)["inputs"] == [{"source_sentence": "gone", "sentences": ["late", "lost"]}]
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines == [["gone"], ["0.750", "█" * 18, "late"], ["-0.250", "lost"]]


def test_source_and_pair_exclude_each_other(service: CannedService) -> None:
    result = zoo(service, "late", "--source", "gone", "--pair", "lost")
    assert result.exit_code == 65
    assert "give one of them" in result.stderr


def test_words_for_a_gap_are_shown_with_the_text_that_they_make(service: CannedService) -> None:
    words = [{"score": 0.5, "token": 7, "token_str": "late", "sequence": "it is late"}]
    service.says("POST", PATH, [words, [words, words]])
    lines = [line.split() for line in zoo(service, "it is [MASK]", "[MASK] and [MASK]").stdout.splitlines()]
    assert lines[1] == ["late", "0.500", "█" * 12, "it", "is", "late"]
    assert [line[0] for line in lines[3:]] == ["1:", "2:"]


@pytest.mark.parametrize("count", [1, 2])
def test_of_a_long_text_what_stands_around_the_gap_is_shown(service: CannedService, count: int) -> None:
    texts = ["so it goes on " * 20 + f"my parcel is {word} and so it goes on" for word in ("late", "lost")]
    words = [{"score": 0.5, "token": 7, "token_str": text.split()[-7], "sequence": text} for text in texts]
    service.says("POST", PATH, [words[:count]])
    shown = zoo(service, "a [MASK]").stdout.splitlines()[1:]
    assert ["my parcel is late and" in shown[0], len(shown)] == [True, count]


def test_wide_letters_are_shortened_by_what_they_fill(service: CannedService) -> None:
    service.says("POST", PATH, [SCORES])
    asked = zoo(service, "\u4e0a" * 90).stdout.splitlines()[0]
    assert asked == "\u4e0a" * 49 + "\u2026"


def test_a_number_that_is_no_share_has_no_bar(service: CannedService) -> None:
    service.says("POST", PATH, [[{"label": "score", "score": 4.25}]])
    assert zoo(service, "one").stdout.splitlines()[1].split() == ["score", "4.250"]


def test_a_vector_is_shown_by_length_norm_and_first_numbers(service: CannedService) -> None:
    service.says("POST", PATH, [[0.6, -0.8, 0.0]])
    assert "3 numbers, norm 1.0000, first: +0.6000 -0.8000" in zoo(service, "one").stdout


def test_any_other_answer_is_shown_as_json(service: CannedService) -> None:
    service.says("POST", PATH, [{"answer": "Paris"}])
    assert '{"answer": "Paris"}' in zoo(service, "one").stdout


def test_a_refused_text_is_named_and_the_others_are_answered(service: CannedService) -> None:
    service.says("POST", PATH, [SCORES, {"error": "The text is empty.", "code": "invalid_text"}])
    result = zoo(service, "one", " ")
    assert result.exit_code == 65
    assert "billing" in result.stdout and "refused: The text is empty." in result.stdout


def test_json_is_the_services_answer(service: CannedService) -> None:
    service.says("POST", PATH, [SCORES])
    assert json.loads(zoo(service, "one", "--json").stdout) == [SCORES]


def test_a_text_that_starts_with_a_dash_goes_after_two_dashes(service: CannedService) -> None:
    service.says("POST", PATH, [SCORES])
    result = CliRunner().invoke(app, ["predict", "tickets", "--url", service.url, "--", "-5 degrees"])
    assert result.exit_code == 0
    assert sent(service)["inputs"] == ["-5 degrees"]


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        ([], "nothing to ask about"),
        (["--file", "nowhere.txt"], "nowhere.txt cannot be read"),
        (["a", "--parameters", "{top_k: 3}"], "--parameters is not JSON"),
        (["a", "--parameters", "[1]"], "has to be a JSON object"),
        (["a", "--parameters", '{"top_k": NaN}'], "--parameters: NaN is no JSON number"),
        (["a", "--parameters", '{"top_k": 1e999}'], "NaN and Infinity are no JSON numbers"),
        (["\udcff"], "is not UTF-8"),
        (["a", "--labels", " , "], "--labels names no label"),
        (["a", "--context", " "], "--context is empty"),
    ],
)
def test_what_cannot_be_sent_is_refused_before(service: CannedService, words: list[Any], fault: str) -> None:
    result = zoo(service, *words)
    assert result.exit_code == 65
    assert fault in result.stderr
    assert not service.asked("POST", PATH)


def test_a_file_that_is_not_utf8_is_refused(service: CannedService, tmp_path: Path) -> None:
    file = tmp_path / "lines.txt"
    file.write_bytes(b"caf\xe9\n")
    assert "is not UTF-8 text" in zoo(service, "--file", str(file)).stderr


def test_a_translation_or_summary_is_shown_as_text(service: CannedService) -> None:
    service.says("POST", PATH, [{"translation_text": "Guten Morgen.\nWie geht's?"}, {"summary_text": ""}])
    lines = zoo(service, "good morning", "nothing").stdout.splitlines()
    assert lines == ["good morning", "  Guten Morgen.", "  Wie geht's?", "nothing", "  nothing was written"]
