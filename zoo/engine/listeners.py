"""Threads for tasks that share batches by themselves, and how long a request that came now would wait for one."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from zoo.engine.backlog import check_wait, fits
from zoo.engine.row_counts import RowCounts

T = TypeVar("T")


class Listeners:
    """``threads`` pieces of work at once, most of which wait for a place in a batch; safe to use from any thread.

    A piece is a request, or a step of one that is answered bit by bit. ``counts`` is told of those that are refused.
    """

    def __init__(self, threads: int, counts: RowCounts) -> None:
        self.pool = ThreadPoolExecutor(threads, thread_name_prefix="listen")
        self._threads = threads
        self._counts = counts
        self._lock = threading.Lock()
        self._here = 0
        self._seconds = 0.0  # moving average of how long a thread has to do with a piece
        self._running: set[float] = set()  # when each began, of those that have a thread

    async def run(self, work: Callable[[], T]) -> T:
        """What ``work`` gives in one of the threads; a caller that leaves before its turn is dropped."""
        return await asyncio.wrap_future(self.submit(work))

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """What ``work`` will give in one of the threads."""

        def timed() -> T:
            began = time.perf_counter()
            with self._lock:
                self._running.add(began)
            try:
                answer = work()
                with self._lock:
                    spent = time.perf_counter() - began
                    self._seconds += (spent - self._seconds) * (0.1 if self._seconds else 1)
                return answer
            finally:
                with self._lock:
                    self._running.discard(began)

        with self._lock:
            self._here += 1
        future = self.pool.submit(timed)
        future.add_done_callback(self._gone)
        return future

    def has_room(self, deadline: float) -> bool:
        """Whether one more would have its turn in time for ``deadline`` (``time.monotonic``)."""
        return fits(self._wait(), deadline)

    def check_room(self, deadline: float) -> None:
        """Raise ``Unavailable`` where one more would have its turn too late for ``deadline``."""
        check_wait(self._wait(), deadline, self._counts)

    def _wait(self) -> float:
        """Seconds until one that came now had its turn."""
        with self._lock:
            turns = max(0, self._here - self._threads + 1)
            running, seconds = list(self._running), self._seconds
        # A wave of requests is told by those that run before the first one of it has ended.
        ages = time.perf_counter() - sum(running) / len(running) if running else 0.0
        return turns * max(seconds, ages) / self._threads

    def _gone(self, _: object) -> None:
        with self._lock:
            self._here -= 1
