"""How long a row that came now would wait, and whether that is too long."""

from __future__ import annotations

import threading
import time

from zoo.engine.row_counts import RowCounts
from zoo.errors import Unavailable

# Of the time that is left, what may be spent waiting. The rest is for the run and for what the estimate is wrong by: a
# queue as long as the whole time answers every row too late, or just not in time.
PART = 0.5


class Backlog:
    """Milliseconds of work, as cost models have it, that wait for ``workers`` or are run by them.

    Of all bodies together, as they share the workers: each by itself would let in what all of them cannot answer.
    ``counts`` is what became of the rows. Safe to use from any thread.
    """

    def __init__(self, workers: int = 1) -> None:
        self.counts = RowCounts()
        self._workers = workers
        self._lock = threading.Lock()
        self._waiting_ms = 0.0
        self._running_ms = 0.0

    def add(self, *, waiting: float = 0.0, running: float = 0.0) -> None:
        """So many milliseconds more, or less, wait or run."""
        with self._lock:
            self._waiting_ms += waiting
            self._running_ms += running

    def seconds(self) -> float:
        """How long a row that came now would wait."""
        return max(0.0, self._waiting_ms + self._running_ms / 2) / self._workers / 1000

    def has_room(self, deadline: float) -> bool:
        """Whether a row that came now would be answered by ``deadline`` (``time.monotonic``)."""
        return fits(self.seconds(), deadline)

    def check_room(self, deadline: float, *, rows: int = 1) -> None:
        """Raise ``Unavailable`` where rows that came now would not be answered by ``deadline`` (``time.monotonic``)."""
        check_wait(self.seconds(), deadline, self.counts, rows=rows)


def fits(wait: float, deadline: float) -> bool:
    """Whether ``wait`` seconds leave enough of the time until ``deadline``."""
    return wait <= max(0.0, PART * (deadline - time.monotonic()))


def check_wait(wait: float, deadline: float, counts: RowCounts, *, rows: int = 1) -> None:
    """Raise ``Unavailable`` where ``wait`` seconds are too many of those that are left; ``counts`` is told."""
    if not fits(wait, deadline):
        counts.add(refused=rows)
        message = f"The server is full: a turn would come in {wait:.2g} s, too late for this one. Try again shortly."
        raise Unavailable(message, code="overloaded", retry_after=max(1.0, wait))
