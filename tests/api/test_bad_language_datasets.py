"""Wrong data files for every task of texts, through HTTP: the answer names the line, and a report stays."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx
import pytest

from adapters.queue import JobQueue
from tests.api.conftest import settings_in
from tests.api.live import Live, running

Row = Callable[[int, str], dict[str, Any]]
# What is learnt -> its task, and a good row with a word of the test's own in its text.
KINDS: Mapping[str, tuple[str, Row]] = {
    "label": ("text-classification", lambda at, word: {"text": f"{word} {at}", "label": "ab"[at % 2]}),
    "labels": (
        "text-classification",
        lambda at, word: {"text": f"{word} {at}", "labels": [["a"], ["a", "b"], []][at % 3]},
    ),
    "score": ("text-classification", lambda at, word: {"text": f"{word} {at}", "score": at + 0.5}),
    "label-of-pairs": (
        "text-classification",
        lambda at, word: {"sentence1": f"{word} {at}", "sentence2": f"why {at}", "label": "ab"[at % 2]},
    ),
    "score-of-pairs": (
        "sentence-similarity",
        lambda at, word: {"sentence1": f"{word} {at}", "sentence2": f"why {at}", "score": at + 0.5},
    ),
    "pairs": ("sentence-similarity", lambda at, word: {"anchor": f"{word} {at}", "positive": f"why {at}"}),
    "translation": ("translation", lambda at, word: {"en": f"{word} is {at}", "de": f"{word} ist {at}"}),
    "summary": (
        "summarization",
        lambda at, word: {"article": f"{word} is late today and again {at}", "summary": f"late {at}"},
    ),
    "entities": (
        "token-classification",
        lambda at, word: {"tokens": [word, f"Ann{at}"], "ner_tags": ["O", "B-PER"]},
    ),
    "answers": (
        "question-answering",
        lambda at, word: {"question": f"where {at}", "context": f"{word} in hall {at}", "answer": f"hall {at}"},
    ),
}
ROWS = 20
TABLES = [kind for kind, (_, row) in KINDS.items() if not any(isinstance(cell, list) for cell in row(0, "x").values())]


@pytest.fixture(scope="module")
def roomy(tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> Iterator[Live]:
    """A server that takes files of 32 MiB."""
    settings = settings_in(tmp_path_factory.mktemp("roomy"), max_upload_bytes=32 << 20)
    with running(settings, JobQueue(redis_url, settings)) as server:
        yield server
        server.assert_alive()


def send(live: Live, content: bytes, name: str) -> httpx.Response:
    with live.client() as client:
        return client.post("/v1/files", data={"purpose": "fine-tune"}, files={"file": (name, content)})


def lines(kind: str, *more: str) -> bytes:
    """Good rows as JSONL, and what follows them."""
    _, row = KINDS[kind]
    return "".join(f"{line}\n" for line in (*(json.dumps(row(at, "parcel")) for at in range(ROWS)), *more)).encode()


def table(kind: str, *more: str) -> bytes:
    """The same as CSV."""
    _, row = KINDS[kind]
    rows = [row(at, "parcel") for at in range(ROWS)]
    return "".join(
        f"{line}\n" for line in (",".join(rows[0]), *(",".join(map(str, one.values())) for one in rows), *more)
    ).encode()


def cells(kind: str, word: str) -> str:
    return ",".join(map(str, KINDS[kind][1](ROWS, word).values()))


def assert_refused(live: Live, content: bytes, name: str, place: str) -> None:
    """The answer names ``place``, and there is a report."""
    answer = send(live, content, name)
    assert (answer.status_code, len(answer.content) <= 2048) == (422, True), answer.text[:500]
    body: dict[str, Any] = answer.json()
    assert body["code"] == "invalid_dataset"
    assert place in body["detail"], body["detail"]
    with live.client() as client:
        fatal = client.get(f"/v1/files/{body['file_id']}/report").json()["fatal"]
    assert fatal["message"] and fatal["fix"]


@pytest.mark.parametrize("kind", KINDS)
def test_good_rows_are_taken_for_what_they_are(roomy: Live, kind: str) -> None:
    for content, name in [(lines(kind), "a.jsonl"), *([(table(kind), "a.csv")] if kind in TABLES else [])]:
        answer = send(roomy, content, name)
        assert (answer.status_code, answer.json()["status"]) == (200, "processed"), answer.text
        with roomy.client() as client:
            report = client.get(f"/v1/files/{answer.json()['id']}/report").json()
        assert (report["task"], report["usable_rows"]) == (KINDS[kind][0], ROWS), report["problems"]


FAULTY_LINES: Mapping[str, Callable[[str], str]] = {
    "row-44-not-a-number": lambda kind: json.dumps(KINDS[kind][1](ROWS, "parcel"))[:-1] + ', "more": NaN}',
    "row-44-row-of-10-mb": lambda kind: json.dumps(KINDS[kind][1](ROWS, "x" * 10_000_000)),
    "row-45-nul": lambda kind: json.dumps(KINDS[kind][1](ROWS, "parcel")).replace("parcel", "par\0cel"),
    "row-45-unclosed": lambda kind: json.dumps(KINDS[kind][1](ROWS, "parcel"))[:-2],
    "row-45-field-of-300-kb": lambda kind: json.dumps(KINDS[kind][1](ROWS, "x" * 300_000)),
    "no-object": lambda kind: json.dumps(list(KINDS[kind][1](ROWS, "parcel").values())),
}


@pytest.mark.parametrize("case", FAULTY_LINES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_faulty_line_is_named(roomy: Live, kind: str, case: str) -> None:
    assert_refused(roomy, lines(kind, FAULTY_LINES[case](kind)), "rows.jsonl", f"Line {ROWS + 1}")


FAULTY_ROWS: Mapping[str, Callable[[str], str]] = {
    "row-44-row-of-10-mb": lambda kind: cells(kind, "x" * 10_000_000),
    "row-45-nul": lambda kind: cells(kind, "par\0cel"),
    "row-45-unclosed-quote": lambda kind: '"' + cells(kind, "parcel"),
    "row-45-field-of-300-kb": lambda kind: cells(kind, "x" * 300_000),
}


@pytest.mark.parametrize("case", FAULTY_ROWS)
@pytest.mark.parametrize("kind", TABLES)
def test_a_faulty_row_of_a_table_is_named(roomy: Live, kind: str, case: str) -> None:
    assert_refused(roomy, table(kind, FAULTY_ROWS[case](kind)), "rows.csv", f"{ROWS + 2}")


@pytest.mark.parametrize("kind", TABLES)
def test_row_45_a_million_columns_are_refused(roomy: Live, kind: str) -> None:
    head, *rest = table(kind).decode().split("\n")
    assert_refused(roomy, "\n".join(["c," * 1_000_000 + head, *rest]).encode(), "rows.csv", "Line 1")


@pytest.mark.parametrize("kind", KINDS)
def test_row_44_a_file_that_teaches_nothing_is_refused(roomy: Live, kind: str) -> None:
    _, row = KINDS[kind]
    if kind in TABLES:
        assert_refused(roomy, (",".join(row(0, "parcel")) + "\n").encode(), "rows.csv", "row")
    same = json.dumps(row(0, "parcel"))
    assert_refused(roomy, f"{same}\n{same}\n{same}\n".encode(), "rows.jsonl", "")


LABELLED: Mapping[str, Callable[[int], dict[str, Any]]] = {
    "label": lambda at: {"text": f"parcel {at}", "label": f"label {at}"},
    "labels": lambda at: {"text": f"parcel {at}", "labels": [f"label {at}"]},
    "label-of-pairs": lambda at: {"sentence1": f"parcel {at}", "sentence2": "why", "label": f"label {at}"},
    "entities": lambda at: {"tokens": ["it", f"Ann{at}"], "ner_tags": ["O", f"B-KIND{at}"]},
}


@pytest.mark.parametrize("kind", LABELLED)
def test_row_44_more_labels_than_a_model_can_have_are_refused(roomy: Live, kind: str) -> None:
    content = "".join(json.dumps(LABELLED[kind](at)) + "\n" for at in range(1500))
    assert_refused(roomy, content.encode(), "rows.jsonl", "Line 1001: more than 1,000")


WITHOUT: Mapping[str, tuple[str, Any]] = {
    "label": ("label", float("nan")),
    "score": ("score", "nan"),
    "score-of-pairs": ("score", "NaN"),
    "labels": ("labels", None),
    "entities": ("ner_tags", None),
    "answers": ("answer", None),
    "translation": ("de", ""),
    "summary": ("summary", ""),
}


@pytest.mark.parametrize("kind", WITHOUT)
def test_row_44_a_file_without_answers_is_refused(roomy: Live, kind: str) -> None:
    column, nothing = WITHOUT[kind]
    rows = [{**KINDS[kind][1](at, "parcel"), column: nothing} for at in range(ROWS)]
    assert_refused(roomy, "".join(json.dumps(one) + "\n" for one in rows).encode(), "rows.jsonl", "")


@pytest.mark.parametrize("kind", TABLES)
def test_row_45_harmless_oddities_of_a_table_are_taken(roomy: Live, kind: str) -> None:
    plain = table(kind).decode()
    for content in (("\ufeff" + plain).encode(), plain.replace("\n", "\r\n", 5).encode(), plain.encode("utf-16")):
        answer = send(roomy, content, "rows.csv")
        assert (answer.status_code, answer.json()["status"]) == (200, "processed"), answer.text
