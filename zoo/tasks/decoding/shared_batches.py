"""Batches that several requests share: what waits when a batch is done is answered together in the next one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


@dataclass(eq=False)
class _Ticket:
    """One item that waits: whoever runs its batch leaves the answer, or what went wrong, here."""

    item: Any
    answer: Any = None
    error: BaseException | None = None
    done: bool = False


class SharedBatches(Generic[Item, Answer]):
    """One batch at a time, whichever threads its items come from; safe to call from any of them.

    There is no thread of its own: of those that wait, one runs the next batch, for itself or for others, until its own
    items are answered. Who comes while a batch runs waits for the next one. ``pick`` chooses a batch: places among the
    items that wait, in the order in which they came; it has to take the first, so that nobody waits for ever.
    """

    def __init__(self, pick: Callable[[Sequence[Item]], Sequence[int]]) -> None:
        self._pick = pick
        self._changed = threading.Condition()
        self._waiting: list[_Ticket] = []
        self._running = False

    def __call__(self, items: Sequence[Item], answer: Callable[[list[Item]], Sequence[Answer]]) -> list[Answer]:
        """In the order of ``items``; ``answer`` answers one batch. Raises what the batch of one of them raised."""
        tickets = [_Ticket(item) for item in items]
        with self._changed:
            self._waiting += tickets
        while batch := self._next(tickets):
            try:
                for ticket, found in zip(batch, answer([one.item for one in batch]), strict=True):
                    ticket.answer = found
            except BaseException as error:  # told to each thread that waits for this batch
                for ticket in batch:
                    ticket.error = error
            finally:
                self._finished(batch)
        for ticket in tickets:
            if ticket.error is not None:
                raise ticket.error
        return [ticket.answer for ticket in tickets]

    def _next(self, own: Sequence[_Ticket]) -> list[_Ticket]:
        """The batch that the calling thread has to run; empty when its own items are answered."""
        with self._changed:
            self._changed.wait_for(lambda: not self._running or all(ticket.done for ticket in own))
            if all(ticket.done for ticket in own):
                return []
            places = set(self._pick([ticket.item for ticket in self._waiting]))
            batch = [ticket for place, ticket in enumerate(self._waiting) if place in places]
            self._waiting = [ticket for place, ticket in enumerate(self._waiting) if place not in places]
            self._running = True
            return batch

    def _finished(self, batch: Sequence[_Ticket]) -> None:
        with self._changed:
            for ticket in batch:
                ticket.done = True
            self._running = False
            self._changed.notify_all()
