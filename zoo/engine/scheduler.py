"""What waits for one body, and which rows of it run together.

There is no wait timer: a worker that is free takes what is there, so that load makes the batches. A batch begins with
the row whose deadline is nearest and takes in its neighbours by length, among the next ones, for as long as that makes
a token cheaper (the cost model) and the batch stays within its budget, padding counted.
"""

from __future__ import annotations

import itertools
import logging
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from zoo.engine.backlog import Backlog
from zoo.engine.cost_model import CostModel
from zoo.engine.ticket import Costly, Ticket, Waiting
from zoo.engine.waiting_line import WaitingLine
from zoo.errors import DeadlineExceeded, RunFailed, Unavailable, ZooError
from zoo.tasks.task import Batch

Run = Callable[[Sequence[Any], bool], Sequence[Any]]
"""A batch of items, and whether it has every core, to one answer each: an array, or the ``ZooError`` of that item."""
log = logging.getLogger("zoo.engine.scheduler")


class Scheduler:
    """The queue of one body; safe to use from any thread.

    ``run`` answers a batch. It is called by the threads that call ``step``, several at once, never under the lock. What
    it raises is not held against all rows of the batch: halves of it run again until the row at fault fails alone.
    ``budget`` is the cost of a batch, padding counted; a costlier row runs by itself. ``backlog``, which says whether
    there is room for a row, and its counts are shared with the other bodies that the same workers run.
    """

    def __init__(
        self,
        run: Run,
        *,
        budget: int,
        backlog: Backlog | None = None,
        cost_model: CostModel | None = None,
    ) -> None:
        self.cost_model = cost_model or CostModel(budget)
        self.backlog = backlog or Backlog()
        self.counts = self.backlog.counts
        self._run = run
        self._budget = budget
        self._lock = threading.Lock()
        self._orders = itertools.count()
        self._line = WaitingLine()
        self._closed = False

    def submit(self, items: Sequence[Costly], *, deadline: float = math.inf) -> Ticket:
        """Let items wait, until ``deadline`` (``time.monotonic``) at most, to be run as rows.

        Raises ``Unavailable`` at once where they cannot be answered in time, with the seconds after which they could.
        """
        ticket = Ticket(len(items), deadline)
        with self._lock:
            if self._closed:
                raise _ending()
            self.backlog.check_room(deadline, rows=len(items))
            added = 0.0
            for place, item in enumerate(items):
                row = Waiting(item.cost, next(self._orders), item, ticket, place, self.cost_model.ms(1, item.cost))
                self._line.add(row)
                added += row.ms
            self.backlog.add(waiting=added)
        ticket.future.add_done_callback(lambda future: self._drop(ticket) if future.cancelled() else None)
        if not items:
            ticket.finish()
        return ticket

    def waiting(self) -> int:
        """Rows that no worker has taken yet."""
        return len(self._line)

    def next_deadline(self) -> float:
        """That of the row that is to run next; infinity where nothing waits."""
        with self._lock:
            oldest = self._line.nearest()
            return math.inf if oldest is None else oldest.ticket.deadline

    def step(self, *, idle: int = 0, whole: bool = False) -> bool:
        """Take a batch and run it in the calling thread; False where nothing waits.

        ``idle`` other threads are free to run rows as well: what waits is shared out to them. ``whole``: none of them
        runs anything, so that a row which is alone may have every core.
        """
        with self._lock:
            ended = self._expire(time.monotonic())
            whole = whole and len(self._line) == 1
            batch = self._take(idle)
            expected = self.cost_model.ms(len(batch), _longest(batch)) if batch else 0.0
        self.backlog.add(running=expected)
        for ticket in ended:
            ticket.finish()
        try:
            if batch:
                self._answer(batch, whole)
        finally:
            self.backlog.add(running=-expected)
        return bool(batch)

    def close(self) -> None:
        """Take no more; every row that waits is answered with ``Unavailable``, those that run are answered."""
        with self._lock:
            self._closed = True
            rows = list(self._line)
            ended = [row.ticket for row in rows if row.ticket.answer(row.place, _ending())]
            self._remove(rows)
        for ticket in ended:
            ticket.finish()

    def _drop(self, ticket: Ticket) -> None:
        """The caller has left: rows of it that wait are forgotten before a batch forms."""
        with self._lock:
            rows = self._line.of(ticket)
            self._remove(rows)
            self.counts.add(dropped=len(rows))

    def _expire(self, now: float) -> list[Ticket]:
        """Answer rows whose time is over with ``DeadlineExceeded``; the tickets that have all their answers now."""
        ended = []
        while (row := self._line.nearest()) is not None and row.ticket.deadline < now:
            self._remove([row])
            self.counts.add(expired=1)
            message = "The time that was given was over before it was this one's turn. Ask again later."
            if row.ticket.answer(row.place, DeadlineExceeded(message)):
                ended.append(row.ticket)
        return ended

    def _remove(self, rows: Sequence[Waiting]) -> None:
        """They wait no longer."""
        self._line.remove(rows)
        self.backlog.add(waiting=-sum(row.ms for row in rows))

    def _take(self, idle: int) -> list[Waiting]:
        """The next batch: a stretch of the window in order of cost, around the row with the nearest deadline."""
        seed = self._line.nearest()
        if seed is None:
            return []
        rows = self._line.window
        budget = min(self._budget, math.ceil(self._line.cost / (idle + 1))) if idle else self._budget
        low = self._line.place(seed)
        high, real = low + 1, seed.cost
        while side := self._joining(low, high, real, budget):
            low, high = (low - 1, high) if side < 0 else (low, high + 1)
            real += rows[low].cost if side < 0 else rows[high - 1].cost
        batch = self._line.take(low, high)
        self.backlog.add(waiting=-sum(row.ms for row in batch))
        return batch

    def _joining(self, low: int, high: int, real: int, budget: int) -> int:
        """Which neighbour joins the rows from ``low`` to ``high``: -1 the shorter one, 1 the longer one, 0 neither.

        The one that adds less padding, if with it a token takes less time than without: it shares what a run costs
        whatever is in it, and is padded or makes the others be. ``real`` is the cost of the rows without padding.
        """
        rows, model = self._line.window, self.cost_model
        count, longest = high - low, rows[high - 1].cost
        sides = []
        if low > 0:
            sides.append((longest - rows[low - 1].cost, -1, rows[low - 1].cost, longest))
        if high < len(rows):
            cost = rows[high].cost
            sides.append(((cost - longest) * count, 1, cost, cost))
        for _, side, cost, most in sorted(sides):
            cheaper = model.ms(count + 1, most) * real <= model.ms(count, longest) * (real + cost)
            if cheaper and (count + 1) * most <= budget:
                return side
        return 0

    def _answer(self, batch: Sequence[Waiting], whole: bool) -> None:
        started = time.monotonic()
        try:
            answers = list(self._run([row.item for row in batch], whole))
        except Exception as error:  # onnxruntime's own exception classes share no public base
            if len(batch) > 1:
                half = len(batch) // 2
                self._answer(batch[:half], False)
                self._answer(batch[half:], False)
                return
            answers = [RunFailed.of(error)]
        if len(answers) != len(batch):
            log.error("a run of %d rows gave %d answers", len(batch), len(answers))
            answers = [RunFailed("The model gave another number of answers than it was asked for.")] * len(batch)
        ran = (time.monotonic() - started) * 1000
        if not whole:
            self.cost_model.learn(len(batch), _longest(batch), ran)
        for ticket in self._give(batch, answers, started, ran):
            ticket.finish()

    def _give(self, batch: Sequence[Waiting], answers: Sequence[Any], started: float, ran: float) -> list[Ticket]:
        """Lay the answers down; the tickets that have all of theirs now."""
        rows, cost, padded = len(batch), sum(row.cost for row in batch), len(batch) * _longest(batch)
        ended = []
        failed = sum(isinstance(answer, ZooError) for answer in answers)
        self.counts.add(batches=1, run=rows, failed=failed, cost=cost, padded_cost=padded)
        own = Counter(row.ticket for row in batch)
        with self._lock:
            for ticket, count in own.items():
                waited = (started - ticket.submitted) * 1000
                ticket.ran(Batch(rows, rows - count, 1 - cost / padded if padded else 0.0, waited, ran))
            for row, answer in zip(batch, answers, strict=True):
                if row.ticket.answer(row.place, answer):
                    ended.append(row.ticket)
        return ended


def _longest(batch: Sequence[Waiting]) -> int:
    return batch[-1].cost if batch else 0


def _ending() -> Unavailable:
    return Unavailable("The server is about to end; ask again in a moment.", code="draining")
