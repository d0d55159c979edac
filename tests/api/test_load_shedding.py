"""Predictions for which there is no turn: refused by the protocol, before anything else sees them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import httpx
import pytest

from tests.api.live import Live

BODY = json.dumps({"inputs": "hello"}).encode()


def request(path: str = "/v1/models/tickets/predict", *, body: bytes = BODY, headers: str = "") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{headers}"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


def statuses(answer: bytes) -> list[int]:
    return [int(found) for found in re.findall(rb"HTTP/1\.1 ([0-9]{3}) ", answer)]


@pytest.fixture
def full(live: Live) -> Iterator[Live]:
    """A service whose models have no turn left."""
    live.loader.full = True
    yield live
    live.loader.full = False
    live.assert_alive()


@pytest.mark.parametrize("path", ["/v1/models/tickets/predict", "/models/tickets", "/v1/embeddings"])
def test_a_refusal_says_all_that_an_answer_of_the_application_says(full: Live, path: str) -> None:
    with full.client() as client:
        answer = client.post(path, json={"inputs": "hello"}, headers={"x-request-id": "mine"})
        assert (answer.status_code, answer.json()["code"], answer.json()["request_id"]) == (503, "overloaded", "mine")
        assert 1 <= int(answer.headers["retry-after"]) <= 4
        assert (answer.headers["x-request-id"], answer.headers["content-type"]) == ("mine", "application/json")
        assert "date" in answer.headers
        assert ("error" in answer.json()) and isinstance(answer.json()["error"], dict if "/v1/" in path else str)


def test_it_is_counted_as_every_request(full: Live) -> None:
    line = 'zoo_http_requests_total{method="POST",route="/v1/models/{model_id:path}/predict",status="503"}'

    def counted(client: httpx.Client) -> float:
        lines = client.get("/metrics").text.splitlines()
        return sum(float(one.rpartition(" ")[2]) for one in lines if one.startswith(line))

    with full.client() as client:
        before = counted(client)
        client.post("/v1/models/tickets/predict", json={"inputs": "hello"})
        assert counted(client) == before + 1


def test_what_has_another_fault_too_is_told_that(full: Live) -> None:
    with full.client() as client:
        late = {"x-request-timeout": "soon"}
        assert client.post("/v1/models/tickets/predict", json={}, headers=late).status_code == 400
        packed = {"content-encoding": "gzip"}
        assert client.post("/v1/models/tickets/predict", json={}, headers=packed).status_code == 415


def test_other_requests_go_on(full: Live) -> None:
    with full.client() as client:
        assert client.get("/v1/models/tickets").status_code == 200
        assert client.get("/models/tickets/health").status_code == 200


def test_a_connection_is_kept_and_its_next_request_is_answered(live: Live) -> None:
    with live.client() as client:
        live.loader.full = True
        try:
            refused = client.post("/v1/models/tickets/predict", json={"inputs": "hello"})
        finally:
            live.loader.full = False
        assert refused.status_code == 503
        assert client.post("/v1/models/tickets/predict", json={"inputs": "hello"}).status_code == 200


def test_one_that_wants_its_connection_closed_has_it_closed(full: Live) -> None:
    answer = full.raw(request(headers="connection: close\r\n") + request())
    assert statuses(answer) == [503]
    assert b"\r\nconnection: close\r\n" in answer


def test_many_in_one_packet_are_all_refused(full: Live) -> None:
    count = 300  # with a body of two bytes each they fill one read of the socket
    assert statuses(full.raw(request(body=b"{}") * count)) == [503] * count


def test_behind_a_request_in_work_they_wait_for_it(live: Live) -> None:
    def several(count: int) -> bytes:
        return b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n" + request(body=b"{}") * count

    live.loader.full = True
    try:
        assert statuses(live.raw(several(300))) == [200] + [503] * 300
    finally:
        live.loader.full = False
    live.assert_alive()
