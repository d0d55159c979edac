"""The way of what is asked most: straight to its handler, past FastAPI's routing and its solving of dependencies."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from re import Pattern

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import compile_path
from starlette.types import ASGIApp, Receive, Scope, Send

from api.services import Serving

ROLLOUT_KEY = "x-rollout-key"


@dataclass(frozen=True)
class Way:
    """An address that is POSTed to, ``path`` in the form of routes.

    ``handler`` takes ``request``, ``serving``, ``key`` and the parts of the path. FastAPI has a route of the same path,
    which describes it and refuses other methods.
    """

    path: str
    handler: Callable[..., Awaitable[Response]]

    @cached_property
    def pattern(self) -> Pattern[str]:
        """What addresses look like that it is for."""
        return compile_path(self.path)[0]


class Direct:
    """ASGI middleware, the innermost."""

    def __init__(self, app: ASGIApp, *, ways: Sequence[Way], serving: Serving) -> None:
        self.app = app
        self._ways = ways
        self._serving = serving

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            for way in self._ways:
                found = way.pattern.match(scope["path"])
                if found and scope["method"] == "POST":
                    scope["route"] = way
                    request = Request(scope, receive)
                    key = request.headers.get(ROLLOUT_KEY)
                    response = await way.handler(request=request, serving=self._serving, key=key, **found.groupdict())
                    await response(scope, receive, send)
                    return
        await self.app(scope, receive, send)
