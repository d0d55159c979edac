"""Threads for tasks that share batches by themselves, and how long a request that came now would wait for one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from zoo.engine.backlog import check_wait
from zoo.engine.row_counts import RowCounts

T = TypeVar("T")


class Listeners:
    """``threads`` requests at once, most of which wait for a place in a batch; for callers on one event loop.

    ``counts`` is told of those that are refused.
    """

    def __init__(self, threads: int, counts: RowCounts) -> None:
        self.pool = ThreadPoolExecutor(threads, thread_name_prefix="listen")
        self._threads = threads
        self._counts = counts
        self._here = 0
        self._seconds = 0.0  # moving average of how long a thread has to do with a request
        self._running: set[float] = set()  # when each began, of those that have a thread

    async def run(self, work: Callable[[], T]) -> T:
        """What ``work`` gives in one of the threads; a caller that leaves before its turn is dropped."""

        def timed() -> tuple[T, float]:
            began = time.perf_counter()
            self._running.add(began)
            try:
                return work(), time.perf_counter() - began
            finally:
                self._running.discard(began)

        self._here += 1
        try:
            answer, seconds = await asyncio.get_running_loop().run_in_executor(self.pool, timed)
        finally:
            self._here -= 1
        self._seconds += (seconds - self._seconds) * (0.1 if self._seconds else 1)
        return answer

    def check_room(self, deadline: float) -> None:
        """Raise ``Unavailable`` where one more would have its turn too late for ``deadline`` (``time.monotonic``)."""
        turns = max(0, self._here - self._threads + 1)
        running = list(self._running)
        # A wave of requests is told by those that run before the first one of it has ended.
        ages = time.perf_counter() - sum(running) / len(running) if running else 0.0
        check_wait(turns * max(self._seconds, ages) / self._threads, deadline, self._counts)
