"""Predictions at our address and at the Hugging Face one."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable

import httpx
import pytest

from tests.api.live import Live

PATHS = ["/v1/models/tickets/predict", "/models/tickets"]
HELLO = [[{"label": "short", "score": 0.5}, {"label": "long", "score": 0.5}]]


@pytest.mark.parametrize("path", PATHS)
def test_a_list_of_texts_is_answered_in_order(client: httpx.Client, path: str) -> None:
    answer = client.post(path, json={"inputs": ["hello", "one two three"], "parameters": {}})
    assert answer.status_code == 200
    assert [item[0]["score"] for item in answer.json()] == [0.5, 0.25]


@pytest.mark.parametrize("path", PATHS)
def test_an_answer_names_model_version_and_precision(client: httpx.Client, path: str) -> None:
    headers = client.post(path, json={"inputs": "hello"}).headers
    assert (headers["x-model"], headers["x-model-version"], headers["x-precision"]) == ("tickets", "1", "fp32")
    assert headers["server-timing"] == "queue;dur=0.2, run;dur=1.5"
    assert "x-item-errors" not in headers
    assert "x-truncated" not in headers


@pytest.mark.parametrize("reference", ["tickets", "tickets@1", "tickets@live"])
def test_a_model_is_asked_by_name_version_or_alias(client: httpx.Client, reference: str) -> None:
    assert client.post(f"/v1/models/{reference}/predict", json={"inputs": "hello"}).json() == HELLO


@pytest.mark.parametrize("path", PATHS)
def test_one_bad_item_of_a_list_fails_alone(client: httpx.Client, path: str) -> None:
    answer = client.post(path, json={"inputs": ["hello", 7]})
    assert answer.status_code == 200
    assert answer.headers["x-item-errors"] == "1"
    assert answer.json()[0] == HELLO[0]
    assert answer.json()[1] == {"error": "An item has to be a text.", "code": "invalid_request"}


def test_options_beside_the_inputs_are_parameters(client: httpx.Client) -> None:
    answer = client.post("/models/minilm", json={"inputs": "hello", "normalize": True})
    assert answer.json()["code"] == "unknown_field"  # the counting model has no such parameter: it arrived there


def test_null_options_count_as_absent(client: httpx.Client) -> None:
    body = {"inputs": "hello", "parameters": None, "normalize": None}
    assert client.post("/models/tickets", json=body).status_code == 200


def test_health_and_info_of_a_model(client: httpx.Client) -> None:
    assert client.get("/models/tickets/health").json() == {"status": "ok"}
    assert client.get("/models/none/health").status_code == 404
    info = client.get("/models/tickets/info").json()
    assert (info["model_id"], info["version"], info["task"]) == ("tickets", 1, "text-classification")
    assert info["labels"] == ["short", "long"]


def test_a_full_model_is_answered_with_the_time_to_come_again(live: Live, client: httpx.Client) -> None:
    live.loader.full = True
    try:
        answer = client.post("/v1/models/tickets/predict", json={"inputs": "hello"})
        unread = client.post("/v1/models/tickets/predict", content=b"{", headers={"content-type": "application/json"})
    finally:
        live.loader.full = False
    assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
    assert 1 <= int(answer.headers["retry-after"]) <= 4
    assert unread.status_code == 503  # refusing has to cost less than reading


def test_a_request_says_until_when_it_wants_its_answer(live: Live, client: httpx.Client) -> None:
    before = time.monotonic()
    client.post("/v1/models/tickets/predict", json={"inputs": "hello"}, headers={"X-Request-Timeout": "2.5"})
    assert before + 2.5 <= live.loader.deadline <= time.monotonic() + 2.5
    client.post("/v1/models/tickets/predict", json={"inputs": "hello"}, headers={"X-Request-Timeout": "99999"})
    assert live.loader.deadline <= time.monotonic() + 60  # the server's own limit


@pytest.mark.parametrize("seconds", ["soon", "0", "-1", "nan", "1e3", ""])
def test_a_time_that_is_none_is_refused_by_name(client: httpx.Client, seconds: str) -> None:
    answer = client.post("/v1/models/tickets/predict", json={"inputs": "a"}, headers={"X-Request-Timeout": seconds})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "X-Request-Timeout")


def test_how_a_request_was_run_is_explained_if_asked_for(client: httpx.Client) -> None:
    answer = client.post("/v1/models/tickets/predict", json={"inputs": "hello"}, headers={"Explain": "1"})
    run = {"rows": 3, "others": 2, "padding": 0.25, "queue_ms": 0.2, "run_ms": 1.5}
    assert json.loads(answer.headers["x-explain"]) == {"batches": 1, "runs": [run]}
    assert "x-explain" not in client.post("/v1/models/tickets/predict", json={"inputs": "hello"}).headers


@pytest.mark.parametrize("requests", [1, 3])
def test_work_for_a_client_that_left_is_cancelled(live: Live, requests: int) -> None:
    body = b'{"inputs": "hello"}'
    before = live.loader.cancelled
    live.loader.gate.clear()
    try:
        with socket.create_connection(("127.0.0.1", live.port)) as connection:
            head = b"POST /models/tickets HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
            connection.sendall((head % len(body) + body) * requests)
            wait_until(lambda: live.loader.held == 1)
        wait_until(lambda: live.loader.cancelled == before + 1)
        assert live.loader.held == 0  # what waited behind it in the same packet is not begun
    finally:
        live.loader.gate.set()
    live.assert_alive()


def test_asking_with_get_is_answered_with_the_right_method(client: httpx.Client) -> None:
    answer = client.get("/v1/models/tickets/predict")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def wait_until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)
