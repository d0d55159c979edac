"""Logs: one JSON object a line, nothing that a user wrote; and what a client learns of an unforeseen fault."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Iterator

import pytest

from tests.api.live import Live
from tests.api.test_predict import wait_until
from zoo.logs import JsonFormatter, TextFormatter


@pytest.fixture
def broken(live: Live) -> Iterator[Live]:
    live.loader.fault = RuntimeError("secret words of a user in /some/path")
    yield live
    live.loader.fault = None


@pytest.mark.parametrize("path", ["/v1/models/tickets/predict", "/models/tickets"])
def test_an_unforeseen_fault_is_a_500_that_tells_nothing(
    broken: Live, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    with broken.client() as client:
        answer = client.post(path, json={"inputs": "hello"})
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "secret" not in answer.text
    assert "Error" not in answer.json()["detail"]
    faults = [record for record in caplog.records if record.name == "api.errors"]
    assert [record.__dict__["request_id"] for record in faults] == [answer.headers["x-request-id"]]


def test_a_full_memory_is_answered_503(broken: Live) -> None:
    broken.loader.fault = MemoryError()
    with broken.client() as client:
        answer = client.post("/models/tickets", json={"inputs": "hello"})
    assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")


def test_a_request_is_logged_by_its_route_without_its_text(live: Live, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "api.access"), live.client() as client:
        answer = client.post("/v1/models/users-name/predict?q=users-query", json={"inputs": "users-text"})
        asked = answer.headers["x-request-id"]

        def mine() -> list[logging.LogRecord]:
            return [item for item in caplog.records if getattr(item, "request_id", None) == asked]

        wait_until(lambda: bool(mine()))  # logged after it is answered
    (record,) = mine()
    line = json.loads(JsonFormatter().format(record))
    assert (line["route"], line["status"], line["method"]) == ("/v1/models/{model_id:path}/predict", 404, "POST")
    assert line["request_id"] == asked
    assert isinstance(line["ms"], float)
    assert "users" not in JsonFormatter().format(record)


def test_a_client_that_leaves_while_its_body_is_read_is_no_fault_of_ours(
    live: Live, caplog: pytest.LogCaptureFixture
) -> None:
    head = b"POST /models/tickets HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: left\r\nContent-Length: 99\r\n\r\n"
    with caplog.at_level(logging.INFO, "api.access"):
        with socket.create_connection(("127.0.0.1", live.port)) as connection:
            connection.sendall(head + b'{"inputs": "he')
        wait_until(lambda: any(getattr(item, "request_id", None) == "left" for item in caplog.records))
    (record,) = [item for item in caplog.records if getattr(item, "request_id", None) == "left"]
    assert (record.name, record.__dict__["status"]) == ("api.access", 499)


def record_of(message: str) -> logging.LogRecord:
    return logging.LogRecord("zoo", logging.INFO, __file__, 1, message, None, None)


def test_row_70_a_line_break_in_a_message_stays_in_its_line() -> None:
    forged = record_of('a\r\n{"level": "error"}\x1b[31m')
    assert "\n" not in JsonFormatter().format(forged)
    assert json.loads(JsonFormatter().format(forged))["level"] == "info"
    assert "\n" not in TextFormatter().format(forged)
    assert "\x1b" not in TextFormatter().format(forged)


def test_a_fault_is_logged_with_its_trace_in_one_line() -> None:
    try:
        raise ValueError("fault")
    except ValueError as error:
        record = record_of("failed")
        record.exc_info = (ValueError, error, error.__traceback__)
    line = JsonFormatter().format(record)
    assert "\n" not in line
    assert "ValueError: fault" in json.loads(line)["trace"]
