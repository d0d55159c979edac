"""What is wrong before there is a body to read: framing, sizes, slowness, origin and methods, on raw sockets."""

from __future__ import annotations

import json
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from api import http_protocol, limits
from tests.api.live import Live, running
from zoo.settings import Settings

PREDICT = "/v1/models/tickets/predict"
HEAD = b"POST /v1/models/tickets/predict HTTP/1.1\r\nHost: localhost\r\n"


@dataclass(frozen=True)
class Row:
    """Bytes as they go onto the wire, and the answer that they have to get."""

    id: str
    sent: bytes
    status: int
    code: str
    closed: bool = False


def get(path: bytes = b"/livez", *headers: bytes, host: bytes = b"localhost") -> bytes:
    return b"\r\n".join([b"GET " + path + b" HTTP/1.1", b"Host: " + host, *headers, b"", b""])


ROWS = [
    Row("row-14-one-byte-over", HEAD + b"Content-Length: 1048577\r\n\r\n", 413, "body_too_large", closed=True),
    Row("row-14-a-length-of-30-digits", HEAD + b"Content-Length: " + b"9" * 18 + b"\r\n\r\n", 413, "body_too_large"),
    Row(
        "row-16-length-and-chunked",
        HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
        "bad_http",
    ),
    Row("row-16-two-lengths", HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400, "bad_http"),
    Row("row-16-negative-length", HEAD + b"Content-Length: -1\r\n\r\n", 400, "bad_http", closed=True),
    Row("row-16-xchunked", HEAD + b"Transfer-Encoding: xchunked\r\n\r\n", 400, "bad_http", closed=True),
    Row("row-17-url-of-100-kb", get(b"/livez?" + b"a" * 100_000), 414, "uri_too_long", closed=True),
    Row("row-17-url-of-9-kb", get(b"/livez?" + b"a" * 9_000), 414, "uri_too_long"),
    Row(
        "row-18-101-headers", get(b"/livez", *[b"X-%d: 1" % number for number in range(101)]), 431, "headers_too_large"
    ),
    Row(
        "row-18-20000-headers",
        get(b"/livez", *[b"X-%d: 1" % number for number in range(20_000)]),
        431,
        "headers_too_large",
    ),
    Row("row-18-17-kb-of-headers", get(b"/livez", b"X: " + b"a" * 17_000), 431, "headers_too_large"),
    Row("row-18-a-header-of-100-kb", get(b"/livez", b"X: " + b"a" * 100_000), 431, "headers_too_large", closed=True),
    Row("row-22-random-bytes", bytes(range(128, 256)) * 4 + b"\r\n\r\n", 400, "bad_http", closed=True),
    Row("row-23-foreign-host", get(host=b"evil.example"), 400, "bad_host"),
    Row("row-24-trace", b"TRACE /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", 405, "method_not_allowed"),
    Row("row-24-connect", b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "bad_http"),
    Row("row-24-unknown-method", b"BREW /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "bad_http", closed=True),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_bytes_that_are_no_good_request_get_their_answer(live: Live, row: Row) -> None:
    status, headers, body = parsed(live.raw(row.sent))
    assert (status, body["code"]) == (row.status, row.code)
    assert "x-request-id" in headers
    if row.closed:
        assert headers["connection"] == "close"
    live.assert_alive()


def test_row_22_a_tls_greeting_is_refused(live: Live) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    greeting = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        greeting.do_handshake()
    assert live.raw(outgoing.read()).startswith(b"HTTP/1.1 400 ")
    live.assert_alive()


def test_row_15_an_endless_chunked_body_is_ended_at_the_limit(live: Live) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while sent < 100 << 20:
            sent += 65536
            yield b"x" * 65536

    with live.client() as client:
        try:
            answer = client.post(PREDICT, content=endless())
            assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
        except httpx.TransportError:  # the answer can be lost when a socket is closed while the other side sends
            pass
    assert sent < 20 << 20
    live.assert_alive()


def test_row_14_a_body_over_the_limit_is_refused_before_it_is_sent(live: Live) -> None:
    with live.client() as client:
        answer = client.post(PREDICT, content=b"x" * (2 << 20))
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    live.assert_alive()


def test_row_19_half_of_the_headers_and_then_silence_is_closed(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "HEADER_SECONDS", 0.2)
    status, _, body = parsed(live.raw(b"GET /livez HTTP/1.1\r\nHost: local"))
    assert (status, body["code"]) == (408, "request_timeout")
    live.assert_alive()


def test_row_19_a_byte_now_and_then_does_not_extend_the_time(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "HEADER_SECONDS", 0.3)
    with socket.create_connection(("127.0.0.1", live.port), timeout=5) as connection:
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            for _ in range(100):
                connection.sendall(b"G")
                time.sleep(0.05)
    live.assert_alive()


def test_row_19_an_idle_connection_is_closed(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "HEADER_SECONDS", 0.2)
    assert live.raw(b"").startswith(b"HTTP/1.1 408 ")


def test_row_20_a_body_that_trickles_is_ended(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BODY_GRACE_SECONDS", 0.2)
    status, headers, body = parsed(live.raw(HEAD + b"Content-Length: 1000\r\n\r\n{"))
    assert (status, body["code"]) == (408, "request_timeout")
    assert headers["connection"] == "close"
    live.assert_alive()


def test_row_21_idle_connections_do_not_keep_others_out(live: Live) -> None:
    idle = [socket.create_connection(("127.0.0.1", live.port)) for _ in range(300)]
    try:
        live.assert_alive()
    finally:
        for connection in idle:
            connection.close()


@pytest.mark.parametrize("host", [b"localhost:8000", b"127.0.0.1", b"[::1]:8000", b"zoo.localhost"])
def test_row_23_a_local_name_or_an_address_is_a_good_host(live: Live, host: bytes) -> None:
    assert parsed(live.raw(get(host=host)))[0] == 200


def test_another_web_site_may_not_post(client: httpx.Client) -> None:
    answer = client.post(PREDICT, json={"inputs": "a"}, headers={"sec-fetch-site": "cross-site"})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


def test_with_a_key_any_host_name_is_served(settings: Settings) -> None:
    with running(settings.model_copy(update={"api_key": "secret"}), None) as keyed, keyed.client() as client:
        assert client.get("/livez", headers={"host": "zoo.example"}).status_code == 200


def test_the_callers_request_id_is_adopted_if_it_is_safe(client: httpx.Client) -> None:
    assert client.get("/livez", headers={"x-request-id": "abc-1"}).headers["x-request-id"] == "abc-1"


@pytest.mark.parametrize("given", ["a" * 65, "a b", 'a"b', "a\tb"])
def test_another_request_id_is_replaced(client: httpx.Client, given: str) -> None:
    assert client.get("/livez", headers={"x-request-id": given}).headers["x-request-id"] != given


def parsed(answer: bytes) -> tuple[int, dict[str, str], dict[str, object]]:
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    return int(first.split()[1]), headers, json.loads(body[: int(headers["content-length"])])
