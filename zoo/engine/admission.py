"""How many requests may be in here at once: what they hold is memory, whatever they wait for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from zoo.errors import Unavailable


class Admission:
    """Lets ``most`` requests in; for callers on one event loop."""

    def __init__(self, most: int) -> None:
        self.waiting = 0
        """Requests admitted and not yet answered."""
        self._most = most
        self._seconds = 0.1  # moving average of how long a request is in here: what another one would take now

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """A request is in here within the block; raises ``Unavailable`` (``overloaded``) where too many are."""
        if self.waiting >= self._most:
            message = "The server is full; try again shortly."
            raise Unavailable(message, code="overloaded", retry_after=max(1.0, self._seconds))
        self.waiting += 1
        began = time.perf_counter()
        try:
            yield
        finally:
            self.waiting -= 1
            self._seconds += 0.1 * (time.perf_counter() - began - self._seconds)
