"""Errors on the wire: the only place that knows status codes and error bodies.

Every error of a request is a ``ZooError`` raised where the fact is known; ``ErrorBoundary`` turns it, and whatever else
escapes, into one response in the form of the path that was asked.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import random
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import field_errors
from zoo import errors

MESSAGE_BYTES = 600  # of JSON text; it stands twice in a body of at most 2 KB
log = logging.getLogger("api.errors")
_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))  # json.dumps makes one each time


class BadRequest(errors.InvalidInput):
    """The request as a whole is refused, whatever the route does with its parts."""


class Unauthorized(errors.ZooError):
    """No key, or not the right one."""

    code = "unauthorized"


class Forbidden(errors.ZooError):
    """A request that this service does not take from where it comes."""

    code = "forbidden"


class RequestTimeout(errors.ZooError):
    """The body came too slowly."""

    code = "request_timeout"


class ClientLeft(Exception):
    """The caller closed the connection before there was an answer: nobody is to be told anything."""


class MethodNotAllowed(errors.ZooError):
    """The address exists, the method does not; ``allow`` lists those that do."""

    code = "method_not_allowed"

    def __init__(self, allow: str) -> None:
        super().__init__(f"This address does not take that method; use {allow}.")
        self.allow = allow


class WrongModel(errors.InvalidInput):
    """A model that does not read what the data hold; ``suggestions`` are models that do."""

    code = "wrong_modality"

    def __init__(self, message: str, *, suggestions: tuple[str, ...] = ()) -> None:
        super().__init__(message, param="model")
        self.suggestions = suggestions


class RejectedUpload(errors.InvalidDataset):
    """A data file that was stored but cannot be used; its report stays readable under ``file_id``."""

    def __init__(self, message: str, *, file_id: str, code: str | None = None, param: str | None = "file") -> None:
        super().__init__(message, code=code, param=param)
        self.file_id = file_id


_BY_CODE = {
    "idempotency_key_invalid": 400,
    "uri_too_long": 414,
    "headers_too_large": 431,
    "overloaded": 503,
}
_BY_CLASS: tuple[tuple[type[errors.ZooError], int], ...] = (
    (BadRequest, 400),
    (Unauthorized, 401),
    (Forbidden, 403),
    (errors.NotFound, 404),
    (MethodNotAllowed, 405),
    (RequestTimeout, 408),
    (errors.Conflict, 409),
    (errors.TooLarge, 413),
    (errors.Unsupported, 415),
    (errors.InvalidInput, 422),
    (errors.ParityFailed, 422),
    (errors.QuotaExceeded, 429),
    (errors.DeadlineExceeded, 504),
    (errors.Unavailable, 503),
)
_OPENAI_TYPES = {401: "authentication_error", 403: "permission_error", 409: "conflict_error", 429: "rate_limit_error"}
_CLOSING = frozenset({408, 413, 414, 431})  # the rest of such a request is not read


def status_of(error: errors.ZooError) -> int:
    """The HTTP status of a domain error; 500 for one that no row names."""
    if isinstance(error, errors.InvalidInput) and error.param == "after":
        return 400  # an unknown cursor
    if not isinstance(error, BadRequest) and error.code in _BY_CODE:
        return _BY_CODE[error.code]
    return next((status for kind, status in _BY_CLASS if isinstance(error, kind)), 500)


def response_for(error: errors.ZooError, scope: Scope) -> Response:
    """The response to a request that failed with ``error``: at most 2 KB, in the form of the path that was asked."""
    status = status_of(error)
    message = _cut(error.message)
    title = HTTPStatus(status).phrase
    body: dict[str, Any] = {"error": message}
    if scope["path"] == "/v1" or scope["path"].startswith("/v1/"):
        kind = _OPENAI_TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
        body["error"] = {"message": message, "type": kind, "param": error.param, "code": error.code}
    body |= {"type": "about:blank", "title": title, "status": status, "code": error.code, "detail": message}
    body |= {"request_id": scope.get("state", {}).get("request_id", "")} | _extra_members(error)
    accept = Headers(scope=scope).get("accept", "")
    media_type = "application/problem+json" if "application/problem+json" in accept else "application/json"
    text = _JSON.encode(body)
    return Response(text, status, headers=_headers(error, status), media_type=media_type)


def _extra_members(error: errors.ZooError) -> dict[str, Any]:
    if isinstance(error, RejectedUpload):
        return {"file_id": error.file_id, "report": f"/v1/files/{error.file_id}/report"}
    if isinstance(error, errors.ModelNotFound | WrongModel) and error.suggestions:
        return {"suggestions": list(error.suggestions[:5])}
    return {}


def _headers(error: errors.ZooError, status: int) -> dict[str, str]:
    headers: dict[str, str] = {}
    if isinstance(error, errors.Unavailable):
        jittered = error.retry_after * random.uniform(0.8, 1.2)  # callers refused together must not return together
        headers["retry-after"] = str(min(60, max(1, math.ceil(jittered))))
    if status == 409:
        headers["x-should-retry"] = "false"  # the openai client repeats a 409 unless told not to
    if isinstance(error, MethodNotAllowed):
        headers["allow"] = error.allow
    if status == 401:
        headers["www-authenticate"] = "Bearer"
    if status in _CLOSING:
        headers["connection"] = "close"
    return headers


def _cut(message: str) -> str:
    """``message``, cut so that its JSON text keeps to ``MESSAGE_BYTES``; what cannot be encoded is replaced."""
    message = message.encode("utf-8", "replace").decode("utf-8")
    if len(_JSON.encode(message).encode()) <= MESSAGE_BYTES:
        return message
    while len(_JSON.encode(message).encode()) > MESSAGE_BYTES - 4:
        message = message[: min(len(message) * 3 // 4, MESSAGE_BYTES)]
    return message + " …"


def invalid_fields(faults: Sequence[Any], *, code: str | None = None) -> errors.InvalidInput:
    """The first of a failed validation's ``errors()`` as an error that names the field, never the value."""
    fault = field_errors.first(faults)
    return errors.InvalidInput(fault.message, code=code or fault.code, param=fault.field)


def ending() -> errors.Unavailable:
    """What a client is told whom a service that ends does not answer any more."""
    return errors.Unavailable("The server is shutting down; send the request again.", code="draining")


def unexpected(error: Exception) -> errors.ZooError:
    """What a client is told about an error that nobody foresaw: nothing but that it is in the log."""
    if isinstance(error, MemoryError):
        return errors.Unavailable("The server is out of memory; try again, with less at once.", code="overloaded")
    return errors.ZooError("Something went wrong in the server; its log has the details under this request id.")


class ConnectionCut(RuntimeError):
    """An error came after the response had begun: the server closes the connection."""


class ErrorBoundary:
    """ASGI middleware: no exception passes, each becomes a response, or ``ConnectionCut`` once one has begun."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, sending)
            return
        except (ClientLeft, ClientDisconnect):  # while it was answered, or while its body was read
            return
        except errors.ZooError as error:
            known = error
        except ConnectionCut:  # by the boundary within
            raise
        except asyncio.CancelledError:
            if started:
                raise
            known = ending()
        except Exception as error:
            log.exception("unexpected error", extra={"request_id": scope["state"].get("request_id")})
            known = unexpected(error)
        if started:
            raise ConnectionCut
        await response_for(known, scope)(scope, receive, send)
