"""What a request may be before any route sees it: size, encoding, origin and key. Pure ASGI, nothing is buffered."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
from collections.abc import Mapping
from functools import lru_cache

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.address import is_loopback
from api.errors import BadRequest, Forbidden, RequestTimeout, Unauthorized
from zoo.errors import TooLarge, Unsupported, ZooError
from zoo.settings import Settings

MAX_URL_BYTES = 8 * 1024
MAX_HEADERS = 100
MAX_HEADER_BYTES = 16 * 1024
BODY_GRACE_SECONDS = 25.0
BODY_BYTES_PER_SECOND = 32 * 1024  # slowest upload that is waited for once the grace is over
PUBLIC_PATHS = frozenset({"/livez", "/readyz", "/health", "/"})  # probes, and the page, which holds no data
LOCAL_OWNER = "local"


class Gate:
    """Refuses by URL, headers, origin and key; sets ``scope["state"]["owner"]`` for what it lets through."""

    def __init__(self, app: ASGIApp, *, settings: Settings) -> None:
        self.app = app
        self._key = hashlib.sha256(settings.api_key.encode()).digest() if settings.api_key else None
        self._local_only = not settings.api_key and is_loopback(settings.host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.admit(scope)
        await self.app(scope, receive, send)

    def admit(self, scope: Scope) -> None:
        """Raise unless the request may come in."""
        check_size(scope)
        headers = Headers(scope=scope)
        if self._local_only:
            check_origin(scope["method"], headers)
        scope["state"]["owner"] = self._owner(scope["path"], headers)
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise Unsupported(
                "Compressed request bodies are not accepted: send it without content-encoding.",
                code="unsupported_encoding",
            )

    def _owner(self, path: str, headers: Headers) -> str:
        """Who asks; without a configured key nobody can prove to be anyone, so all are one."""
        if self._key is None or path in PUBLIC_PATHS:
            return LOCAL_OWNER
        scheme, _, given = headers.get("authorization", "").partition(" ")
        digest = hashlib.sha256(given.strip().encode("latin-1")).digest()
        if scheme.lower() != "bearer" or not hmac.compare_digest(digest, self._key):
            raise Unauthorized("A valid key is needed: send the header authorization: Bearer <ZOO_API_KEY>.")
        return digest.hex()[:16]


def check_size(scope: Scope) -> None:
    """Raise unless URL and headers keep to the limits."""
    if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > MAX_URL_BYTES:
        raise TooLarge(f"The address is longer than {MAX_URL_BYTES} bytes.", code="uri_too_long")
    headers = scope["headers"]
    if len(headers) > MAX_HEADERS or sum(len(name) + len(value) for name, value in headers) > MAX_HEADER_BYTES:
        limit = f"{MAX_HEADERS} headers and {MAX_HEADER_BYTES} bytes"
        raise TooLarge(f"The request has more than {limit} of headers.", code="headers_too_large")


def check_origin(method: str, headers: Headers) -> None:
    """Keep foreign web pages out of a service that trusts everyone on this machine.

    A page can point its own host name at 127.0.0.1 (so the Host has to be local), or send forms across sites (which
    browsers announce in Sec-Fetch-Site).
    """
    host = headers.get("host", "localhost").lower()
    name = host[1:].partition("]")[0] if host.startswith("[") else host.rpartition(":")[0] or host
    if not is_local_name(name):
        raise BadRequest(
            "This service answers only to localhost; set ZOO_API_KEY to serve it under another host name.",
            code="bad_host",
        )
    if method not in ("GET", "HEAD", "OPTIONS") and headers.get("sec-fetch-site") in ("cross-site", "same-site"):
        raise Forbidden("Another web site may not change anything here; set ZOO_API_KEY and send the key.")


@lru_cache(256)  # the same few with every request
def is_local_name(name: str) -> bool:
    """Whether a Host header's name cannot be the domain of a foreign site: localhost or any address in digits."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class BodyLimit:
    """Ends a body that is too large (413) or comes too slowly (408); ``larger`` has the limits of single paths."""

    def __init__(self, app: ASGIApp, *, default: int, larger: Mapping[str, int]) -> None:
        self.app = app
        self._default = default
        self._larger = larger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = self._larger.get(scope["path"], self._default)
        length = Headers(scope=scope).get("content-length", "")
        if length.isdecimal() and (len(length) > 18 or int(length) > limit):
            raise _too_large(limit)
        await self.app(scope, _Metered(receive, limit), send)


class _Metered:
    """The receive channel of one request, with its byte count and its deadline."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._limit = limit
        self._count = 0
        self._complete = False
        self._started = asyncio.get_running_loop().time()

    async def __call__(self) -> Message:
        if self._complete:
            return await self._receive()
        deadline = self._started + BODY_GRACE_SECONDS + self._count / BODY_BYTES_PER_SECOND
        try:
            async with asyncio.timeout_at(deadline):
                message = await self._receive()
        except TimeoutError:
            raise RequestTimeout("The body came too slowly; send it again on a faster connection.") from None
        self._count += len(message.get("body", b""))
        self._complete = not message.get("more_body", False)
        if self._count > self._limit:
            raise _too_large(self._limit)
        return message


def _too_large(limit: int) -> ZooError:
    return TooLarge(f"The body is larger than {limit} bytes: send less at once.")
