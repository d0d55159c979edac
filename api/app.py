"""The application: predictions on the short way, behind it all the rest; error forms and limits around both."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.middleware import Middleware

from api import embeddings, prediction
from api.connection_state import SHEDDING
from api.direct import Direct, Way
from api.errors import ErrorBoundary
from api.later import Later
from api.limits import BodyLimit, Gate
from api.load_shedding import LoadShedding
from api.request_log import RequestLog
from api.services import Serving
from zoo.engine.loader import Loader
from zoo.settings import Settings

if TYPE_CHECKING:
    from api.rest import Rest

FORM_OVERHEAD = 64 * 1024  # boundaries, part headers and text fields around an uploaded file
WAYS = (
    Way(prediction.PATH, prediction.predict),
    Way(prediction.HF_PATH, prediction.predict),
    Way(embeddings.PATH, embeddings.embed),
)


def build(settings: Settings, loader: Loader | None = None, *, redis_url: Callable[[], str] | None = None) -> Starlette:
    """The application with its real parts.

    ``redis_url`` is asked for when jobs are first needed; unless given it is that of ``settings``. Without one there
    are no jobs.
    """

    def rest(serving: Serving) -> Rest:
        from adapters.datasets import FileStore
        from adapters.queue import JobQueue
        from api.rest import Rest

        url = settings.redis_url if redis_url is None else redis_url()
        return Rest(serving, queue=JobQueue(url, settings) if url else None, files=FileStore(settings.home, settings))

    return create_app(settings, loader or Loader.of(settings), rest)


def create_app(settings: Settings, loader: Loader, rest: Callable[[Serving], Rest]) -> Starlette:
    """The application around the given parts, which it closes at shutdown.

    Its ``state`` has ``serving`` and ``rest``, the ``Later`` of what ``rest`` makes.
    """
    serving = Serving.of(settings, loader)
    later = Later(lambda: rest(serving))
    app = Starlette(middleware=_middleware(serving), lifespan=_lifespan)
    app.router.default = later
    app.state.serving = serving
    app.state.rest = later
    return app


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[dict[str, LoadShedding]]:
    serving: Serving = app.state.serving
    yield {SHEDDING: LoadShedding(WAYS, Gate(app, settings=serving.settings), serving)}
    serving.readiness.drain()
    await serving.rollouts.close()
    serving.loader.close()
    app.state.rest.close()


def _middleware(serving: Serving) -> list[Middleware]:
    """Outermost first: id and log, errors to responses, what is let in, how large it may be, the short way."""
    settings = serving.settings
    paths = ("/v1/files", "/v1/audio/transcriptions", "/v1/audio/translations")
    larger = dict.fromkeys(paths, settings.max_upload_bytes + FORM_OVERHEAD)
    return [
        Middleware(RequestLog, metrics=serving.metrics),
        Middleware(ErrorBoundary),
        Middleware(Gate, settings=settings),
        Middleware(BodyLimit, default=settings.max_body_bytes, larger=larger),
        Middleware(Direct, ways=WAYS, serving=serving),
    ]
