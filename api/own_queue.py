"""The Redis and the one worker that a service brings when it is given no Redis."""

from __future__ import annotations

import importlib.util
import logging
import threading
from types import TracebackType

from adapters.queue import EmbeddedRedis, WorkerSupervisor
from zoo.errors import ZooError
from zoo.settings import Settings

log = logging.getLogger("api.own_queue")


class OwnQueue:
    """Runs within its block. Redis starts while the block goes on; where none can be had there is no queue."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._redis = EmbeddedRedis(settings.home)
        self._starting = threading.Thread(target=self._start, name="redis-start")
        self._url = ""
        self._worker: WorkerSupervisor | None = None

    def __enter__(self) -> OwnQueue:
        self._starting.start()
        return self

    def url(self) -> str:
        """Of the Redis, once it answers; empty where it does not: models are served all the same."""
        self._starting.join()
        return self._url

    def start_worker(self) -> None:
        """Begin to run jobs, if there is a Redis."""
        if self.url():
            self._worker = WorkerSupervisor(self._url, self._settings)
            self._worker.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._starting.join()
        if self._worker is not None:
            self._worker.stop()
        self._redis.stop()

    def _start(self) -> None:
        try:
            self._url = self._redis.start()
        except ZooError as error:
            log.warning("no job queue: %s", error.message)
            return
        if importlib.util.find_spec("torch") is None:
            log.warning("models come in as ready-made graphs alone; for all else: pip install 'adaptzoo[train]'")
