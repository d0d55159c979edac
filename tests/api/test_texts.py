"""Translations and summaries over HTTP: the Hugging Face client unchanged, streams, and faults."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from huggingface_hub import InferenceClient

from api.app import build
from tests.api.live import serving
from tests.imports import Imports
from tests.zoo.tasks.text_models import import_texts

TEXT = "the cat sees a big dog"
LONG = ". ".join([TEXT, "she likes the red house and not the tree", "today he sees"] * 4)


@pytest.fixture(scope="module")
def url(imports: Imports, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(imports, tmp_path_factory.mktemp("texts"), "deutsch") as address:
        yield address


@contextmanager
def served(imports: Imports, folder: Path, name: str) -> Iterator[str]:
    """The address of a service that has one model."""
    zoo = import_texts(imports, folder, name)
    with serving(build(zoo.settings), zoo.settings) as (_, port):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, trust_env=False, timeout=60) as made:
        yield made


def official(url: str, name: str) -> InferenceClient:
    return InferenceClient(model=f"{url}/models/{name}", token="none")


def predicted(client: httpx.Client, name: str, **body: Any) -> Any:
    answer = client.post(f"/v1/models/{name}/predict", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_official_client_translates(url: str, client: httpx.Client) -> None:
    answer = official(url, "deutsch").translation(TEXT)
    assert [{"translation_text": answer.translation_text}] == predicted(client, "deutsch", inputs=TEXT)
    few = official(url, "deutsch").translation(TEXT, generate_parameters={"max_new_tokens": 3})
    assert 0 < len(few.translation_text) < len(answer.translation_text)


def test_the_official_client_says_from_which_language_to_which(imports: Imports, tmp_path: Path) -> None:
    with served(imports, tmp_path, "tongues") as url:
        tongues = official(url, "tongues")
        german, french = (tongues.translation(TEXT, src_lang="en", tgt_lang=code) for code in ("de", "fr"))
    assert german.translation_text != french.translation_text


def test_the_official_client_summarises(imports: Imports, tmp_path: Path) -> None:
    with served(imports, tmp_path, "short") as url:
        plain = official(url, "short").summarization(TEXT)
        asked = {"clean_up_tokenization_spaces": True, "truncation": "longest_first"}
        short = official(url, "short").summarization(TEXT, generate_parameters={"max_length": 7}, **asked)
    assert 0 < len(short.summary_text) < len(plain.summary_text)


def test_a_list_is_answered_in_its_order_and_a_bad_text_harms_no_other(client: httpx.Client) -> None:
    body = predicted(client, "deutsch", inputs=[TEXT, "", "big"])
    assert body[0] == predicted(client, "deutsch", inputs=TEXT)[0]
    assert body[1]["code"] == "invalid_text"
    assert body[2] == predicted(client, "deutsch", inputs="big")[0]


def test_a_search_tells_how_it_was_run(client: httpx.Client) -> None:
    answer = client.post("/v1/models/deutsch/predict", json={"inputs": [TEXT, TEXT]}, headers={"explain": "1"})
    told = json.loads(answer.headers["x-explain"])
    assert told["batches"] == len(told["runs"]) == 1
    run = told["runs"][0]
    assert (run["rows"], run["others"], run["padding"]) == (2, 0, 0.0)
    assert run["run_ms"] > 0


def events(client: httpx.Client, **body: Any) -> list[tuple[str, Any]]:
    answer = client.post("/v1/models/deutsch/predict", json={"stream": True, **body})
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["x-model"] == "deutsch"
    *frames, last = answer.text.strip().split("\n\n")
    assert last == "data: [DONE]"
    found = []
    for frame in frames:
        name, data = frame.split("\n")
        found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


def test_a_long_text_is_streamed_passage_by_passage(client: httpx.Client) -> None:
    *deltas, (last, done) = events(client, inputs=LONG)
    assert len(deltas) >= 2 and {name for name, _ in deltas} == {"text.delta"}
    assert last == "text.done"
    assert done == {"type": "text.done", "text": "".join(delta["delta"] for _, delta in deltas)}
    assert done["text"] == predicted(client, "deutsch", inputs=LONG)[0]["translation_text"]


def test_a_stream_says_in_its_headers_that_a_text_was_cut(client: httpx.Client) -> None:
    body = {"stream": True, "inputs": LONG, "parameters": {"truncation": True}}
    assert client.post("/v1/models/deutsch/predict", json=body).headers["x-truncated"] == "1"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"inputs": ""}, "inputs"),
        ({"inputs": [TEXT, TEXT]}, "inputs"),
        ({"inputs": TEXT, "parameters": {"num_beams": 0}}, "parameters.generate_parameters.num_beams"),
    ],
)
def test_what_cannot_be_streamed_is_an_ordinary_error(client: httpx.Client, body: dict[str, Any], param: str) -> None:
    answer = client.post("/v1/models/deutsch/predict", json={"stream": True, **body})
    assert answer.status_code == 422
    assert answer.json()["error"]["param"] == param


def test_a_stream_that_does_not_begin_in_time_is_an_ordinary_error(client: httpx.Client) -> None:
    headers = {"x-request-timeout": "0.000001"}
    answer = client.post("/v1/models/deutsch/predict", json={"stream": True, "inputs": TEXT}, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "deadline_exceeded")


def test_a_huge_text_is_refused_at_once(client: httpx.Client) -> None:
    answer = client.post("/v1/models/deutsch/predict", json={"inputs": "a" * 2_000_000})
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "input_too_long"
