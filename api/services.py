"""What requests are answered with: one bundle for predictions, made at start, and a larger one for all the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import anyio.to_thread

from api.metrics import Metrics
from api.readiness import Readiness
from zoo.catalogue.registry import Registry
from zoo.catalogue.store import Store
from zoo.engine.loader import Loader
from zoo.engine.rollouts import Rollouts
from zoo.errors import Unavailable
from zoo.settings import Settings

if TYPE_CHECKING:  # predictions are answered before these are imported
    from adapters.datasets import FileStore
    from adapters.queue import JobQueue

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Serving:
    """The parts of a running service that predictions need."""

    settings: Settings
    loader: Loader
    rollouts: Rollouts
    registry: Registry
    store: Store
    metrics: Metrics
    readiness: Readiness

    @classmethod
    def of(cls, settings: Settings, loader: Loader) -> Serving:
        """All of them, around the loader with its registry and store."""
        metrics = Metrics(loader)
        return cls(
            settings=settings,
            loader=loader,
            rollouts=Rollouts(loader, loader.store, observer=metrics.rollouts),
            registry=loader.registry,
            store=loader.store,
            metrics=metrics,
            readiness=Readiness(loader.store, loader),
        )


@dataclass(frozen=True)
class Services(Serving):
    """All parts of a running service; ``jobs`` is None where no Redis could be had."""

    jobs: JobQueue | None
    files: FileStore

    @property
    def queue(self) -> JobQueue:
        """The job queue; ``Unavailable`` (``queue_unavailable``) if there is none."""
        if self.jobs is None:
            raise Unavailable(
                "No job queue: set ZOO_REDIS_URL, or install redis-server and restart.", code="queue_unavailable"
            )
        return self.jobs


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run what touches disk or Redis off the event loop; once begun it runs to its end, even if the caller leaves."""
    return await anyio.to_thread.run_sync(lambda: function(*args, **kwargs))
