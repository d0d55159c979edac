"""All that is not a prediction: models, files, jobs, probes, the page; a FastAPI application with its job queue."""

from __future__ import annotations

from collections import defaultdict
from importlib.metadata import version
from re import Pattern

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import compile_path

from adapters.datasets import FileStore
from adapters.queue import Janitor, JobQueue
from api.errors import ErrorBoundary
from api.routes import audio, embeddings, files, fine_tuning, health, jobs, models, page, predict, rollouts
from api.routing_errors import on_http_exception, on_validation_error
from api.services import Services, Serving

# The addresses of models end in a name with slashes, so what lies below a name comes before them.
_ROUTERS = (predict, embeddings, health, rollouts, models, audio, files, fine_tuning, jobs, page)


class Rest:
    """``app`` answers, until ``close``; meanwhile jobs of lost workers go back to the queue."""

    def __init__(self, serving: Serving, *, queue: JobQueue | None, files: FileStore) -> None:
        self.services = Services(**vars(serving), jobs=queue, files=files)
        serving.metrics.watch(queue)
        self.app = FastAPI(
            title="AdaptZoo",
            version=version("adaptzoo"),
            description="A zoo of pre-trained models that are served, adapted to your data and served again.",
            middleware=[Middleware(ErrorBoundary)],  # within what Starlette puts around every application
            exception_handlers={HTTPException: on_http_exception, RequestValidationError: on_validation_error},
            docs_url=None,  # its pages load scripts from elsewhere
            redoc_url=None,
            openapi_url=None,
            redirect_slashes=False,
        )
        for module in _ROUTERS:
            self.app.include_router(module.router)
        self.app.state.services = self.services
        self.app.state.methods = _methods()
        # Here too, not in workers alone: jobs of a lost worker go back though every other worker is busy.
        self._janitor = Janitor(queue) if queue is not None else None
        if self._janitor is not None:
            self._janitor.start()

    def close(self) -> None:
        """End what it began, and the connections of the queue."""
        if self._janitor is not None:
            self._janitor.stop()
        if self.services.jobs is not None:
            self.services.jobs.close()


def _methods() -> dict[Pattern[str], set[str]]:
    """Which methods each address takes, for the Allow header."""
    found: dict[Pattern[str], set[str]] = defaultdict(set)
    for module in _ROUTERS:
        for route in module.router.routes:
            path, methods = getattr(route, "path", None), getattr(route, "methods", None)
            if path and methods:
                found[compile_path(path)[0]] |= methods
    return dict(found)
