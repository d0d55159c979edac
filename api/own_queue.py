"""The Redis and the one worker that a service brings when it is given no Redis."""

from __future__ import annotations

import importlib.util
import logging
import threading
from contextlib import ExitStack
from types import TracebackType

from zoo.errors import ZooError
from zoo.settings import Settings

log = logging.getLogger("api.own_queue")


class OwnQueue:
    """Ends with its block what was started within it. Where no Redis can be had there is no queue."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._url: str | None = None
        self._started = ExitStack()
        self._lock = threading.Lock()
        self._ended = False

    def __enter__(self) -> OwnQueue:
        return self

    def url(self) -> str:
        """Of the Redis, which the first call starts; empty where there is none: models are served all the same."""
        with self._lock:
            if self._url is None and not self._ended:
                self._url = self._start()
            return self._url or ""

    def start_worker(self) -> None:
        """Begin to run jobs, if there is a Redis."""
        from adapters.queue import WorkerSupervisor

        url = self.url()
        with self._lock:  # a service may end while it starts
            if url and not self._ended:
                worker = WorkerSupervisor(url, self._settings)
                self._started.callback(worker.stop)
                worker.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._ended = True
            self._started.close()

    def _start(self) -> str:
        from adapters.queue import EmbeddedRedis  # here, for predictions are answered before it is imported

        redis = EmbeddedRedis(self._settings.home)
        self._started.callback(redis.stop)
        try:
            url = redis.start()
        except ZooError as error:
            log.warning("no job queue: %s", error.message)
            return ""
        if importlib.util.find_spec("torch") is None:
            log.warning("models come in as ready-made graphs alone; for all else: pip install 'adaptzoo[train]'")
        return url
