"""What a caller holds while its rows wait and run: their answers as they come, and what became of them."""

from __future__ import annotations

import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol

from zoo.tasks.task import MOST_BATCHES, Batch


class Costly(Protocol):
    """What is scheduled. ``cost`` is what a batch is measured by: the others in it are filled up to the largest."""

    @property
    def cost(self) -> int: ...


@dataclass(eq=False)
class Ticket:
    """The rows of one caller. The future travels with them: it ends with their answers, in the order submitted.

    An answer is whatever the run made of a row, or the ``ZooError`` that it failed with. Cancelling the future drops
    the rows that no worker has taken; those that run disturb nobody.
    """

    count: int
    deadline: float
    future: Future[list[Any]] = field(default_factory=Future)
    batches: list[Batch] = field(default_factory=list)
    submitted: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.answers: list[Any] = [None] * self.count
        self._open = self.count

    def answer(self, place: int, answer: Any) -> bool:
        """Whether this was the last one; the scheduler's lock is held, ``finish`` is called without it."""
        self.answers[place] = answer
        self._open -= 1
        return self._open == 0

    def ran(self, batch: Batch) -> None:
        """Note a run of some of the rows."""
        if len(self.batches) < MOST_BATCHES:
            self.batches.append(batch)

    def finish(self) -> None:
        """Hand the answers over; nothing happens where the caller has left."""
        if self.future.set_running_or_notify_cancel():
            self.future.set_result(self.answers)


@dataclass(eq=False)
class Waiting:
    """One row in the queue: its cost, its number in the order of arrival, and where its answer goes."""

    cost: int
    order: int
    item: Any
    ticket: Ticket
    place: int
    ms: float
    taken: bool = False
