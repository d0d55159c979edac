"""The HTTP server of a running service: how uvicorn runs the application, and how it ends."""

from __future__ import annotations

import asyncio
import math
import signal
import socket
import time
from collections.abc import Callable
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from api.http_protocol import BoundedProtocol
from api.services import Serving
from zoo.settings import Settings


def configuration(app: ASGIApp, settings: Settings) -> uvicorn.Config:
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
        timeout_keep_alive=75,
        timeout_graceful_shutdown=math.ceil(settings.drain_seconds),
    )


class DrainingServer(uvicorn.Server):
    """Ends in two steps: at SIGTERM it is no longer ready and waits for running requests, then it closes.

    A second signal closes at once. The exit code is 0: the signal is not raised again. ``ready`` is called once, when
    it answers.
    """

    def __init__(self, config: uvicorn.Config, serving: Serving, *, ready: Callable[[], object] = lambda: None) -> None:
        super().__init__(config)
        self._serving = serving
        self._ready = ready
        self._close_by: float | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        if self.started:
            self._ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._close_by is not None or self.should_exit:
            self.should_exit = True
            self.force_exit = sig == signal.SIGINT
            return
        self._close_by = time.monotonic() + self._serving.settings.drain_seconds
        self._loop.call_soon_threadsafe(self._serving.readiness.drain)

    async def on_tick(self, counter: int) -> bool:
        if self._close_by is not None:
            late = time.monotonic() > self._close_by
            if late:
                self.config.timeout_graceful_shutdown = 1  # what still runs has had its time
            self.should_exit = self.should_exit or late or not self._serving.metrics.active
        return await super().on_tick(counter)
