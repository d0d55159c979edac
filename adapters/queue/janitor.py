"""The janitor: a thread in every worker and in the service that brings jobs of dead processes back to work."""

from __future__ import annotations

import logging
import threading
from typing import cast

from adapters.queue import keys
from adapters.queue.connection import reaching
from adapters.queue.queue import JobQueue
from zoo.errors import Unavailable

logger = logging.getLogger(__name__)

INTERVAL_SECONDS = 3.0
UNSENT_SECONDS = 2.0
BATCH = 100


class Janitor:
    """Sweeps every few seconds, one process at a time. Takes nothing from a live worker: it acts on ended leases."""

    def __init__(self, queue: JobQueue, *, interval: float = INTERVAL_SECONDS) -> None:
        self._queue = queue
        self._client = queue.records.client
        self._interval = interval
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._popped_before: frozenset[str] = frozenset()

    def start(self) -> None:
        """Begin to sweep in a daemon thread."""
        self._stop.clear()
        self._thread = threading.Thread(target=self._loop, name="janitor", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; waits for a sweep under way for at most five seconds."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def _loop(self) -> None:
        while not self._stop.wait(self._interval):
            try:
                if self._elected():
                    self.sweep()
            except Unavailable:
                logger.info("the janitor cannot reach Redis and tries again")
            except Exception:
                logger.exception("the janitor failed and goes on")

    def _elected(self) -> bool:
        # Expires a little before the next turn, so that a janitor that dies delays the next sweep by one turn at most.
        milliseconds = max(1, int(self._interval * 900))
        with reaching():
            return bool(self._client.set(keys.JANITOR, "1", nx=True, px=milliseconds))

    def sweep(self) -> None:
        """One round of everything. Raises ``Unavailable`` when Redis goes away under it."""
        self._queue.restorer.ensure_run()
        self._collect_lost()
        self._resend()
        self._catch_up_journal()

    def _collect_lost(self) -> None:
        attempts = self._queue.settings.job_attempts
        for job_id in self._due(keys.LEASES):
            outcome = self._queue.records.lost(job_id, token=None, attempts=attempts)
            if outcome == "stale":
                continue
            logger.warning("job %s lost its worker: %s", job_id, outcome)
            if outcome == "queued":
                self._queue.dispatcher.send(job_id)

    def _due(self, key: str, age_seconds: float = 0.0) -> list[str]:
        with reaching():
            whole, fraction = self._client.time()
            latest = whole * 1_000_000 + fraction - round(age_seconds * 1_000_000)
            return cast("list[str]", self._client.zrangebyscore(key, "-inf", latest))

    def _resend(self) -> None:
        """Send waiting jobs that no queue list holds: delayed ones whose time has come, and those whose entry was lost
        with a process between two steps, or with Redis itself. One entry too many does no harm."""
        dispatcher = self._queue.dispatcher
        popped = dispatcher.popped()
        for entry in popped & self._popped_before:
            dispatcher.drop(entry)  # a claim follows a pop within milliseconds: that worker died in between
        self._popped_before = popped
        due = self._due(keys.DELAYED)
        if due:
            with reaching():
                self._client.zrem(keys.DELAYED, *due)
        with reaching():
            delayed = frozenset(cast("list[str]", self._client.zrange(keys.DELAYED, 0, -1)))
        sent = dispatcher.sent()
        for job_id in dict.fromkeys([*due, *self._due(keys.QUEUED, UNSENT_SECONDS)]):
            if job_id not in sent and job_id not in delayed:
                dispatcher.send(job_id)

    def _catch_up_journal(self) -> None:
        with reaching():
            behind = cast("set[str]", self._client.smembers(keys.DIRTY))
        for job_id in sorted(behind)[:BATCH]:
            self._queue.mirror_quietly(job_id)
