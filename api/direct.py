"""The way of what is asked most: straight to its handler, past FastAPI's routing and its solving of dependencies."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from api.services import Services

ROLLOUT_KEY = "x-rollout-key"


class Direct:
    """ASGI middleware, the innermost; ``routes`` answer POST and are FastAPI's own, which describes them and
    refuses other methods.

    Each endpoint takes ``request``, ``services``, ``key`` and the parts of its path, and answers with a response.
    """

    def __init__(self, app: ASGIApp, *, routes: Sequence[APIRoute], services: Services) -> None:
        self.app = app
        self._routes = routes
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            for route in self._routes:
                found = route.path_regex.match(scope["path"])
                if found and scope["method"] == "POST":
                    scope["route"] = route
                    request = Request(scope, receive)
                    key = request.headers.get(ROLLOUT_KEY)
                    response: Response = await route.endpoint(
                        request=request, services=self._services, key=key, **found.groupdict()
                    )
                    await response(scope, receive, send)
                    return
        await self.app(scope, receive, send)
