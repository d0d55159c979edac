"""Uvicorn's HTTP protocol with what it lacks: bounds and a deadline for headers, errors as JSON, cheap refusals."""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import Any, cast

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from api.connection_state import LEFT, SHEDDING
from api.limits import MAX_HEADER_BYTES, MAX_HEADERS, MAX_URL_BYTES
from api.load_shedding import LoadShedding

HEADER_SECONDS = 10.0


class BoundedProtocol(HttpToolsProtocol):
    """One connection: its first request line and headers have to be complete within ten seconds.

    URL and headers are collected only up to just over their limits, so that the application sees and refuses the
    excess, however much of it is sent. What a full service refuses is answered here (``LoadShedding``), and a request
    in work is told when its caller leaves.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._header_bytes = 0
        self._deadline: asyncio.TimerHandle | None = None
        self._running: RequestResponseCycle | None = None
        self._shedding: LoadShedding | None = self.app_state.get(SHEDDING)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        cycle = self._running  # the latest one that was read may only wait for it
        super().connection_lost(exc)
        if cycle is not None and not cycle.response_complete and (left := cycle.scope["state"].get(LEFT)):
            left()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._header_bytes = 0
        if self._deadline is None:
            self._arm()

    def on_url(self, url: bytes) -> None:
        if len(self.url) <= MAX_URL_BYTES:
            super().on_url(url[: 2 * MAX_URL_BYTES])

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._header_bytes > MAX_HEADER_BYTES or len(self.headers) > MAX_HEADERS:
            return
        self._header_bytes += len(name) + len(value)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._disarm()
        super().on_headers_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        refusal = self._shedding.refusal(cast(Scope, cycle.scope)) if self._shedding is not None else None
        if refusal is None:
            self._unset_keepalive_if_required()  # a refusal in the same packet has set it
            self._running = cycle
            super()._start_asgi_task(cycle, app)
            return
        cycle.response_started = cycle.response_complete = True
        headers = [*self.server_state.default_headers, *refusal.raw_headers]
        if not cycle.keep_alive:
            headers.append((b"connection", b"close"))
        head = b"".join(b"%s: %s\r\n" % header for header in headers)
        self.transport.write(STATUS_LINE[refusal.status_code] + head + b"\r\n" + bytes(refusal.body))
        if not cycle.keep_alive:
            self.transport.close()
        if self.pipeline:  # of as many requests as a packet holds: not one within the other
            self.loop.call_soon(self.on_response_complete)
        else:
            self.on_response_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, "bad_http", "This is not a valid HTTP request.")

    def _arm(self) -> None:
        self._deadline = self.loop.call_later(HEADER_SECONDS, self._too_slow)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        self._deadline = None
        if not self.transport.is_closing() and (self.cycle is None or self.cycle.response_complete):
            self._refuse(408, "request_timeout", "The request did not come within ten seconds.")

    def _refuse(self, status: int, code: str, message: str) -> None:
        """Answer what never became a request, in a form that serves every surface, and close."""
        request_id = secrets.token_hex(16)
        error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
        body = json.dumps({"error": error, "status": status, "code": code, "detail": message, "request_id": request_id})
        head = STATUS_LINE[status] + (
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
            f"x-request-id: {request_id}\r\nconnection: close\r\n\r\n"
        ).encode("ascii")
        self.transport.write(head + body.encode("ascii"))
        self.transport.close()
