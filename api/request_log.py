"""The outermost layer: gives each request its id, and counts, times and logs its response."""

from __future__ import annotations

import logging
import re
import secrets
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.metrics import Metrics

_SAFE_ID = re.compile(r"^[A-Za-z0-9._-]{1,64}$")
CLIENT_CLOSED = 499  # no answer was sent, for the caller had left
log = logging.getLogger("api.access")


class RequestLog:
    """ASGI middleware; one log line a request: id, method, route template, status, milliseconds."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self.app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = request_id_of(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        started = time.perf_counter()
        status = CLIENT_CLOSED

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["x-request-id"] = request_id
            await send(message)

        self._metrics.active += 1
        try:
            await self.app(scope, receive, sending)
        finally:
            self._metrics.active -= 1
            record(self._metrics, scope, status, time.perf_counter() - started)


def record(metrics: Metrics, scope: Scope, status: int, seconds: float) -> None:
    """Count, time and log a request that has ended."""
    route = getattr(scope.get("route"), "path", "unmatched")
    metrics.count_request(scope["method"], route, status, seconds)
    if not log.isEnabledFor(logging.INFO):
        return
    fields = {
        "request_id": scope["state"]["request_id"],
        "method": scope["method"],
        "route": route,
        "status": status,
        "ms": round(seconds * 1000, 1),
    }
    log.info("request", extra=fields)


def request_id_of(scope: Scope) -> str:
    """The caller's own id if it is short and of safe characters, else a new one."""
    given = Headers(scope=scope).get("x-request-id", "")
    return given if _SAFE_ID.fullmatch(given) else secrets.token_hex(16)
