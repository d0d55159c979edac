"""Seconds of each stage of a job, for its card and for whoever wonders where the time goes."""

from __future__ import annotations

import time


class Stopwatch:
    """One stage at a time: ``start`` ends the one before. Time is monotonic."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._stage: str | None = None
        self._since = 0.0

    def start(self, stage: str) -> None:
        """Begin a stage."""
        self._end()
        self._stage, self._since = stage, time.monotonic()

    def stop(self) -> dict[str, float]:
        """End the stage and answer the seconds of all."""
        self._end()
        self._stage = None
        return {name: round(seconds, 3) for name, seconds in self._seconds.items()}

    def _end(self) -> None:
        if self._stage is not None:
            elapsed = time.monotonic() - self._since
            self._seconds[self._stage] = self._seconds.get(self._stage, 0.0) + elapsed
