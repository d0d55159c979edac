"""What routes work with: one bundle, made at start, reached through the request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ParamSpec, TypeVar, cast

import anyio.to_thread
from fastapi import Depends
from starlette.requests import Request

from adapters.datasets import FileStore
from adapters.queue import JobQueue
from api.metrics import Metrics
from api.readiness import Readiness
from zoo.catalogue.registry import Registry
from zoo.catalogue.store import Store
from zoo.engine.loader import Loader
from zoo.engine.rollouts import Rollouts
from zoo.errors import Unavailable
from zoo.settings import Settings

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Services:
    """The parts of a running service; ``jobs`` is None where no Redis could be had."""

    settings: Settings
    jobs: JobQueue | None
    loader: Loader
    rollouts: Rollouts
    registry: Registry
    store: Store
    files: FileStore
    metrics: Metrics
    readiness: Readiness

    @property
    def queue(self) -> JobQueue:
        """The job queue; ``Unavailable`` (``queue_unavailable``) if there is none."""
        if self.jobs is None:
            raise Unavailable(
                "No job queue: set ZOO_REDIS_URL, or install redis-server and restart.", code="queue_unavailable"
            )
        return self.jobs


async def services_of(request: Request) -> Services:
    """The services of the application that this request came to; a coroutine, as others are sent to a thread."""
    return cast(Services, request.app.state.services)


ServicesDep = Annotated[Services, Depends(services_of)]


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run what touches disk or Redis off the event loop; once begun it runs to its end, even if the caller leaves."""
    return await anyio.to_thread.run_sync(lambda: function(*args, **kwargs))
