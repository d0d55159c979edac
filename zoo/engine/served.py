"""A version in memory: what answers its requests, the queue of its rows, and the threads that its runs have."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import Any

from zoo.engine.predictor import Prediction, Predictor
from zoo.engine.row_counts import RowCounts
from zoo.engine.scheduler import Scheduler
from zoo.engine.steps import Row, Steps
from zoo.engine.ticket import Batch, Ticket
from zoo.engine.workers import Workers

GAIN = 0.95  # of the time with one thread: what more threads have to save to be worth a second session


@dataclass(frozen=True)
class Threads:
    """How a version is run: so many runs at once with one thread each, and a row that is alone with ``alone`` threads.

    ``alone_ms`` and ``single_ms`` are what was measured when it was loaded, for one short item.
    """

    workers: int
    alone: int
    single_ms: float
    alone_ms: float

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {name: round(value, 3) for name, value in asdict(self).items()}


class Served:
    """A loaded version behind the scheduler of its body; safe to use from any thread."""

    def __init__(self, predictor: Predictor, workers: Workers, counts: RowCounts) -> None:
        self.predictor = predictor
        self.threads = _choose(predictor, workers.count)
        budget = predictor.task.batch_cost
        self.scheduler = Scheduler(
            lambda rows, whole: predictor.run(rows, whole=whole), budget=budget, workers=workers.count, counts=counts
        )
        self._workers = workers
        row, ms = predictor.trial(whole=False)
        self.scheduler.cost_model.learn(1, row.cost, ms)

    async def answer(
        self, steps: Steps[Prediction], pool: ThreadPoolExecutor | None, *, deadline: float = math.inf
    ) -> Prediction:
        """A request to its end; it is prepared and finished in ``pool``, or without one on the event loop itself.

        A caller that leaves takes along its rows that wait. Raises what the request raises, and ``Unavailable``.
        """
        started, queued = time.perf_counter(), 0.0
        answers: list[Any] | None = None
        batches: list[Batch] = []
        loop = asyncio.get_running_loop()
        while True:
            step = await loop.run_in_executor(pool, _advance, steps, answers) if pool else _advance(steps, answers)
            if isinstance(step, Prediction):
                spent = (time.perf_counter() - started) * 1000
                return replace(step, queue_ms=queued, run_ms=spent - queued, batches=tuple(batches))
            ticket = self.submit(step, deadline=deadline)
            answers = await asyncio.wrap_future(ticket.future)
            batches += ticket.batches
            queued += max((batch.queue_ms for batch in ticket.batches), default=0.0)

    def submit(self, rows: Sequence[Row], *, deadline: float = math.inf) -> Ticket:
        """Rows to be run; raises ``Unavailable`` as ``Scheduler.submit`` does."""
        ticket = self.scheduler.submit(rows, deadline=deadline)
        self._workers.wake(self.scheduler, len(rows))
        return ticket


def _advance(steps: Steps[Prediction], answers: list[Any] | None) -> list[Row] | Prediction:
    """The next rows to be run, or the end: ``StopIteration`` cannot pass through a future."""
    try:
        return next(steps) if answers is None else steps.send(answers)
    except StopIteration as end:
        prediction: Prediction = end.value
        return prediction


def _choose(predictor: Predictor, cores: int) -> Threads:
    """Measured when loaded: with more threads a short text of MiniLM took 3.1 ms instead of 5.7."""
    if cores == 1:
        _, ms = predictor.trial(whole=True)
        return Threads(1, 1, single_ms=ms, alone_ms=ms)
    predictor.split()
    single, alone = predictor.trial(whole=False)[1], predictor.trial(whole=True)[1]
    if alone > GAIN * single:
        predictor.unite()
        return Threads(cores, 1, single_ms=single, alone_ms=single)
    return Threads(cores, cores, single_ms=single, alone_ms=alone)
