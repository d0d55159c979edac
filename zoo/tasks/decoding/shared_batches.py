"""Batches that several requests share: what waits when a batch is done is answered together in the next one."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from zoo.errors import RunFailed, ZooError
from zoo.tasks.decoding.caller import Caller
from zoo.tasks.task import Batch

Item = TypeVar("Item")
Answer = TypeVar("Answer")


@dataclass(eq=False)
class _Ticket:
    """One item that waits: whoever runs its batch leaves the answer, or what went wrong, here."""

    item: Any
    caller: Caller
    came: float = field(default_factory=time.perf_counter)
    answer: Any = None
    error: BaseException | None = None
    done: bool = False


class SharedBatches(Generic[Item, Answer]):
    """One batch at a time, whichever threads its items come from; safe to call from any of them.

    There is no thread of its own: of those that wait, one runs the next batch, for itself or for others, until its own
    items are answered. Who comes while a batch runs waits for the next one. ``pick`` chooses a batch: places among the
    items that wait, in the order in which they came; it has to take the first, so that nobody waits for ever. ``cost``
    is the size of an item, up to the largest of which the others of a batch are filled.
    """

    def __init__(
        self, pick: Callable[[Sequence[Item]], Sequence[int]], *, cost: Callable[[Item], int] = lambda _: 1
    ) -> None:
        self._pick = pick
        self._cost = cost
        self._changed = threading.Condition()
        self._waiting: list[_Ticket] = []
        self._running = False

    def __call__(
        self, items: Sequence[Item], answer: Callable[[list[Item]], Sequence[Answer]], caller: Caller | None = None
    ) -> list[Answer | ZooError]:
        """In the order of ``items``, what each was answered with or failed with; ``answer`` answers one batch.

        Raises ``DeadlineExceeded`` once ``caller`` has left, whose items no batch takes any more.
        """
        caller = caller or Caller()
        caller.check()
        tickets = [_Ticket(item, caller) for item in items]
        with self._changed:
            self._waiting += tickets
        while batch := self._next(tickets, caller):
            began = time.perf_counter()
            try:
                self._answer(batch, answer)
            except BaseException as error:  # the end of the process: told to each thread that waits for this batch
                for ticket in batch:
                    ticket.error = error
            finally:
                self._tell(batch, began)
                self._finished(batch)
        for ticket in tickets:
            if ticket.error is not None:
                raise ticket.error
        return [ticket.answer for ticket in tickets]

    def _next(self, own: Sequence[_Ticket], caller: Caller) -> list[_Ticket]:
        """The batch that the calling thread has to run; empty when its own items are answered."""
        with self._changed:
            self._changed.wait_for(lambda: not self._running or all(ticket.done for ticket in own))
            if all(ticket.done for ticket in own):
                return []
            self._waiting = [ticket for ticket in self._waiting if not ticket.caller.gone]
            caller.check()
            places = set(self._pick([ticket.item for ticket in self._waiting]))
            batch = [ticket for place, ticket in enumerate(self._waiting) if place in places]
            self._waiting = [ticket for place, ticket in enumerate(self._waiting) if place not in places]
            self._running = True
            return batch

    def _answer(self, batch: Sequence[_Ticket], answer: Callable[[list[Item]], Sequence[Answer]]) -> None:
        """An error is not held against a whole batch: halves of it run again until the item at fault fails alone."""
        try:
            for ticket, found in zip(batch, answer([one.item for one in batch]), strict=True):
                ticket.answer = found
        except Exception as error:  # onnxruntime's own exception classes share no public base
            if len(batch) > 1:
                half = len(batch) // 2
                self._answer(batch[:half], answer)
                self._answer(batch[half:], answer)
            else:
                batch[0].answer = RunFailed.of(error)

    def _tell(self, batch: Sequence[_Ticket], began: float) -> None:
        """Each caller, how its items were answered."""
        ran = (time.perf_counter() - began) * 1000
        costs = [self._cost(ticket.item) for ticket in batch]
        padding = 1 - sum(costs) / (len(costs) * max(costs))
        for caller, own in Counter(ticket.caller for ticket in batch).items():
            came = min(ticket.came for ticket in batch if ticket.caller is caller)
            caller.told(Batch(len(batch), len(batch) - own, padding, (began - came) * 1000, ran))

    def _finished(self, batch: Sequence[_Ticket]) -> None:
        with self._changed:
            for ticket in batch:
                ticket.done = True
            self._running = False
            self._changed.notify_all()


def answered(found: Sequence[Answer | ZooError]) -> list[Answer]:
    """All answers, where each item has to have one; raises what the first one that failed did."""
    answers: list[Answer] = []
    for one in found:
        if isinstance(one, ZooError):
            raise one
        answers.append(one)
    return answers
