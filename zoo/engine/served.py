"""A version in memory: what answers its requests, the queue of its rows, and the threads that its runs have."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from zoo.engine.body import AdaptedRuns
from zoo.engine.predictor import Prediction, Predictor
from zoo.engine.scheduler import Scheduler
from zoo.engine.shared_body import SharedBody
from zoo.engine.steps import Row, Steps
from zoo.engine.threads import Threads
from zoo.engine.ticket import Ticket
from zoo.engine.workers import Workers
from zoo.errors import DeadlineExceeded
from zoo.tasks.task import Batch


class Served:
    """A loaded version behind the scheduler of its body; safe to use from any thread."""

    body: SharedBody | None = None
    """What answers for it, which is in memory for as long as one of its versions is."""

    why: str | None = None
    """Why its own graph answers although its manifest names the body."""

    def __init__(self, predictor: Predictor, scheduler: Scheduler, workers: Workers, threads: Threads) -> None:
        self.predictor = predictor
        self.scheduler = scheduler
        self.threads = threads
        self._workers = workers

    @property
    def provider(self) -> str:
        """The hardware that runs it: ``cpu``, ``cuda``, ``openvino`` or ``coreml``."""
        return self.predictor.provider if self.body is None else self.body.provider

    @classmethod
    def alone(cls, predictor: Predictor, workers: Workers) -> Served:
        """A version with a graph of its own."""

        def run(rows: Sequence[Row], whole: bool) -> list[Any]:
            return predictor.run(rows, whole=whole)

        if workers.count > 1:
            predictor.split()
        budget = predictor.task.batch_cost
        scheduler, threads = workers.queue(run, predictor.sample(), budget=budget)
        if threads.alone < workers.count:
            predictor.unite()
        return cls(predictor, scheduler, workers, threads)

    @classmethod
    def beside(cls, predictor: Predictor, body: SharedBody, runs: AdaptedRuns) -> Served:
        """A version that a body answers for, whose queue it shares with all others of that body."""
        scheduler, threads = body.admit(predictor, runs)
        served = cls(predictor, scheduler, body.workers, threads)
        served.body = body
        return served

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
            if not step:
                if time.monotonic() > deadline:
                    raise DeadlineExceeded("There was no answer within the time that was given. Ask again later.")
                answers = []
                await asyncio.sleep(0)  # where a caller that has left is noticed
                continue
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
