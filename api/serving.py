"""Running the service: address, embedded queue and worker, the HTTP server, and an orderly end."""

from __future__ import annotations

import asyncio
import errno
import gc
import importlib.util
import logging as stdlib_logging
import math
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType

import uvicorn
from fastapi import FastAPI

from adapters.queue import EmbeddedRedis, WorkerSupervisor
from api.app import build
from api.http_protocol import BoundedProtocol
from api.limits import is_loopback
from api.service_note import noted
from api.services import Services
from zoo import logs
from zoo.engine.preload import Preload
from zoo.errors import ZooError
from zoo.settings import Settings

EX_CONFIG = 78
log = stdlib_logging.getLogger("api.serving")


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
        running = settings
        if not settings.redis_url:
            running = parts.enter_context(embedded_queue(settings))
        app = build(running)
        server = DrainingServer(configuration(app, settings), app.state.services)
        address = address_of(listener)
        server.announce = f"AdaptZoo is ready at {address}"
        parts.enter_context(noted(settings.home, address))
        gc.freeze()  # what is there now stays: no collection looks at it again while requests wait
        server.run(sockets=[listener])
        return 0 if server.started else 1


def _refuse(line: str) -> int:
    print(f"zoo serve: {line}", file=sys.stderr)
    return EX_CONFIG


def listen(host: str, port: int) -> socket.socket:
    """A bound socket; ``OSError`` if the address is taken or is none of this machine's."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)  # at once: two sockets may be bound to one port as long as neither listens
    except OSError:
        listener.close()
        raise
    listener.set_inheritable(False)
    return listener


def address_of(listener: socket.socket) -> str:
    """The address to open in a browser."""
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # names every interface, is none
        host = "localhost"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextmanager
def embedded_queue(settings: Settings) -> Iterator[Settings]:
    """Our own Redis and one worker for as long as the block runs; without them models are served all the same."""
    redis = EmbeddedRedis(settings.home)
    try:
        url = redis.start()
    except ZooError as error:
        log.warning("no job queue: %s", error.message)
        yield settings
        return
    worker: WorkerSupervisor | None = None
    try:
        if importlib.util.find_spec("torch") is None:
            log.warning("models come in as ready-made graphs alone; for all else: pip install 'adaptzoo[train]'")
        worker = WorkerSupervisor(url, settings)
        worker.start()
        yield settings.model_copy(update={"redis_url": url})
    finally:
        if worker is not None:
            worker.stop()
        redis.stop()


def configuration(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """How uvicorn runs the application."""
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=BoundedProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=math.ceil(settings.drain_seconds),
    )


class DrainingServer(uvicorn.Server):
    """Ends in two steps: at SIGTERM it is no longer ready and waits for running requests, then it closes.

    A second signal closes at once. The exit code is 0: the signal is not raised again.
    """

    announce = ""

    def __init__(self, config: uvicorn.Config, services: Services) -> None:
        super().__init__(config)
        self._services = services
        self._close_by: float | None = None
        self._preload = Preload(services.store, services.loader)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        if self.started and self.announce:
            print(self.announce, flush=True)
        if self.started:
            self._preload.start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await asyncio.to_thread(self._preload.stop)
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._close_by is not None or self.should_exit:
            self.should_exit = True
            self.force_exit = sig == signal.SIGINT
            return
        self._close_by = time.monotonic() + self._services.settings.drain_seconds
        self._loop.call_soon_threadsafe(self._services.readiness.drain)

    async def on_tick(self, counter: int) -> bool:
        if self._close_by is not None:
            late = time.monotonic() > self._close_by
            if late:
                self.config.timeout_graceful_shutdown = 1  # what still runs has had its time
            self.should_exit = self.should_exit or late or not self._services.metrics.active
        return await super().on_tick(counter)
