"""What became of rows, counted for all bodies together since the process began."""

from __future__ import annotations

import threading


class RowCounts:
    """Numbers that only grow; safe to use from several threads.

    ``run`` rows were answered, ``failed`` of them with an error; ``dropped`` are those whose caller had left before
    their turn, ``expired`` those whose time was over, ``refused`` those that were not let in. ``cost`` and
    ``padded_cost`` are of the ``batches`` that ran: tokens, pixels or samples without padding and with it.
    """

    NAMES = ("batches", "run", "failed", "dropped", "expired", "refused", "cost", "padded_cost")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = dict.fromkeys(self.NAMES, 0)

    def add(self, **more: int) -> None:
        """Add to the counts of those names."""
        with self._lock:
            for name, count in more.items():
                self._counts[name] += count

    def __getitem__(self, name: str) -> int:
        return self._counts[name]
