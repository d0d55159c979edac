"""Running the service: address, embedded queue and worker, the HTTP server, and an orderly end."""

from __future__ import annotations

import errno
import gc
import sys
from contextlib import ExitStack

from api.address import address_of, is_loopback, listen
from api.own_queue import OwnQueue
from api.service_note import noted
from zoo import logs
from zoo.engine.loader import Loader
from zoo.engine.preload import Preload
from zoo.errors import Unavailable
from zoo.settings import Settings

EX_CONFIG = 78


def serve(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT; the exit code: 0, or 78 with one line if the configuration cannot work."""
    if not is_loopback(settings.host) and not settings.api_key and not settings.allow_anonymous:
        return _refuse(f"host {settings.host} can be reached by others: set ZOO_API_KEY, or ZOO_ALLOW_ANONYMOUS=true.")
    try:
        listener = listen(settings.host, settings.port)
    except OSError as error:
        fault = "is in use: choose another" if error.errno == errno.EADDRINUSE else "cannot be opened: check it"
        return _refuse(f"port {settings.port} of host {settings.host} {fault} (ZOO_PORT, ZOO_HOST).")
    logs.configure(settings)
    with listener, ExitStack() as parts:
        loader = Loader.of(settings)
        preload = Preload(loader)
        parts.callback(preload.stop)
        preload.start()
        # Imports, while another core reads the models.
        from api.app import build
        from api.draining import DrainingServer, configuration

        queue = None if settings.redis_url else parts.enter_context(OwnQueue(settings))
        app = build(settings, loader, redis_url=queue.url if queue is not None else None)
        address = address_of(listener)

        def complete() -> None:
            try:
                app.state.rest.made()
            except Unavailable:  # the service ends before all of it has started
                return
            gc.freeze()
            if queue is not None:
                queue.start_worker()

        def ready() -> None:
            print(f"AdaptZoo is ready at {address}", flush=True)
            preload.settle(then=complete)

        server = DrainingServer(configuration(app, settings), app.state.serving, ready=ready)
        parts.enter_context(noted(settings.home, address))
        gc.freeze()  # what is there now stays: no collection looks at it again while requests wait
        server.run(sockets=[listener])
        return 0 if server.started else 1


def _refuse(line: str) -> int:
    print(f"zoo serve: {line}", file=sys.stderr)
    return EX_CONFIG
