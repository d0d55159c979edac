"""The application: parts in, routes, error forms and limits around them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from re import Pattern

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import compile_path

from adapters.datasets import FileStore
from adapters.queue import Janitor, JobQueue
from api.connection_state import SHEDDING
from api.direct import Direct
from api.errors import ErrorBoundary, on_http_exception, on_validation_error
from api.limits import BodyLimit, Gate
from api.load_shedding import LoadShedding
from api.metrics import Metrics
from api.readiness import Readiness
from api.request_log import RequestLog
from api.routes import audio, embeddings, files, fine_tuning, health, jobs, models, page, predict, rollouts
from api.services import Services
from zoo.catalogue.registry import Registry
from zoo.catalogue.store import Store
from zoo.engine.loader import Loader
from zoo.engine.rollouts import Rollouts
from zoo.settings import Settings

FORM_OVERHEAD = 64 * 1024  # boundaries, part headers and text fields around an uploaded file
# Predictions first: what is asked most is matched first. The addresses of models end in a name with slashes, so what
# lies below a name comes before them.
_ROUTERS = (predict, embeddings, health, rollouts, models, audio, files, fine_tuning, jobs, page)


def build(settings: Settings, loader: Loader | None = None) -> FastAPI:
    """The application with its real parts; jobs need ``settings.redis_url``."""
    loader = loader or Loader.of(settings)
    return create_app(
        settings,
        queue=JobQueue(settings.redis_url, settings) if settings.redis_url else None,
        loader=loader,
        registry=loader.registry,
        store=loader.store,
        files=FileStore(settings.home, settings),
    )


def create_app(  # the parts of a service are many, and each is named
    settings: Settings, *, queue: JobQueue | None, loader: Loader, registry: Registry, store: Store, files: FileStore
) -> FastAPI:
    """The application around the given parts, which it closes at shutdown."""
    metrics = Metrics(loader, queue)
    services = Services(
        settings=settings,
        jobs=queue,
        loader=loader,
        rollouts=Rollouts(loader, store, observer=metrics.rollouts),
        registry=registry,
        store=store,
        files=files,
        metrics=metrics,
        readiness=Readiness(store, loader),
    )
    app = FastAPI(
        title="AdaptZoo",
        version=version("adaptzoo"),
        description="A zoo of pre-trained models that are served, adapted to your data and served again.",
        middleware=_middleware(services),
        exception_handlers={HTTPException: on_http_exception, RequestValidationError: on_validation_error},
        lifespan=_lifespan,
        docs_url=None,  # its pages load scripts from elsewhere
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    for module in _ROUTERS:
        app.include_router(module.router)
    app.state.services = services
    app.state.methods = _methods()
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[dict[str, LoadShedding]]:
    services: Services = app.state.services
    janitor = Janitor(services.jobs) if services.jobs is not None else None
    if janitor is not None:
        janitor.start()  # here too: jobs of a lost worker go back to the queue though every other worker is busy
    gate = Gate(app, settings=services.settings)
    yield {SHEDDING: LoadShedding(_posts(predict.router, embeddings.router), gate, services)}
    services.readiness.drain()
    if janitor is not None:
        janitor.stop()
    await services.rollouts.close()
    services.loader.close()
    if services.jobs is not None:
        services.jobs.close()


def _middleware(services: Services) -> list[Middleware]:
    """Outermost first: id and log, errors to responses, what is let in, how large it may be, the short way."""
    settings = services.settings
    paths = ("/v1/files", "/v1/audio/transcriptions", "/v1/audio/translations")
    larger = dict.fromkeys(paths, settings.max_upload_bytes + FORM_OVERHEAD)
    return [
        Middleware(RequestLog, metrics=services.metrics),
        Middleware(ErrorBoundary),
        Middleware(Gate, settings=settings),
        Middleware(BodyLimit, default=settings.max_body_bytes, larger=larger),
        Middleware(Direct, routes=_posts(predict.router, embeddings.router), services=services),
    ]


def _posts(*routers: APIRouter) -> list[APIRoute]:
    """The routes that answer POST."""
    routes = (route for router in routers for route in router.routes)
    return [route for route in routes if isinstance(route, APIRoute) and route.methods == {"POST"}]


def _methods() -> dict[Pattern[str], set[str]]:
    """Which methods each address takes, for the Allow header."""
    found: dict[Pattern[str], set[str]] = defaultdict(set)
    for module in _ROUTERS:
        for route in module.router.routes:
            path, methods = getattr(route, "path", None), getattr(route, "methods", None)
            if path and methods:
                found[compile_path(path)[0]] |= methods
    return dict(found)
