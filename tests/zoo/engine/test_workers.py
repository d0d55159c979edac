"""Threads that run what schedulers hold."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from zoo.engine.cost_model import CostModel
from zoo.engine.scheduler import Scheduler
from zoo.engine.workers import Workers
from zoo.errors import Unavailable

SOON = 60.0


@dataclass(frozen=True)
class Item:
    cost: int = 1


def learnt(ms: float) -> CostModel:
    model = CostModel(1)
    model.learn(1, 1, ms)
    return model


def test_as_many_batches_run_at_once_as_there_are_workers() -> None:
    together = threading.Barrier(2)

    def run(items: Sequence[Any], whole: bool) -> list[str]:
        together.wait(SOON)
        return ["done"] * len(items)

    workers = Workers(2)
    schedulers = [Scheduler(run, budget=1), Scheduler(run, budget=1)]
    tickets = [scheduler.submit([Item()]) for scheduler in schedulers]
    for scheduler in schedulers:
        workers.wake(scheduler)
    assert [ticket.future.result(SOON) for ticket in tickets] == [["done"], ["done"]]
    workers.close()


def test_the_nearest_deadline_of_all_bodies_is_served_first() -> None:
    order: list[str] = []
    schedulers = {}
    for name in ("late", "early"):

        def run(items: Sequence[Any], whole: bool, name: str = name) -> list[str]:
            order.append(name)
            return [name] * len(items)

        schedulers[name] = Scheduler(run, budget=1)
    tickets = [
        schedulers["late"].submit([Item()], deadline=time.monotonic() + 2000),
        schedulers["early"].submit([Item()], deadline=time.monotonic() + 1000),
    ]
    workers = Workers(1)
    with workers._changed:  # both are there before the thread looks
        workers._ready = dict.fromkeys(schedulers.values())
        workers._changed.notify()
    assert [ticket.future.result(SOON) for ticket in tickets] == [["late"], ["early"]]
    assert order == ["early", "late"]
    workers.close()


def test_a_row_that_is_alone_in_the_process_runs_with_every_core() -> None:
    seen: list[bool] = []

    def run(items: Sequence[Any], whole: bool) -> list[str]:
        seen.append(whole)
        return ["done"] * len(items)

    workers, scheduler = Workers(2), Scheduler(run, budget=9, workers=2)
    while True:  # until both threads have come to wait
        ticket = scheduler.submit([Item()])
        workers.wake(scheduler)
        ticket.future.result(SOON)
        if seen[-1]:
            break
    assert seen[-1]
    workers.close()


def test_closing_waits_for_the_batch_that_runs() -> None:
    begun, go = threading.Event(), threading.Event()

    def run(items: Sequence[Any], whole: bool) -> list[str]:
        begun.set()
        assert go.wait(SOON)
        return ["done"] * len(items)

    workers, scheduler = Workers(1), Scheduler(run, budget=1)
    ticket = scheduler.submit([Item()])
    workers.wake(scheduler)
    assert begun.wait(SOON)
    closing = threading.Thread(target=workers.close)
    closing.start()
    go.set()
    closing.join(SOON)
    assert ticket.future.result(0) == ["done"]


def test_there_is_room_for_one_more_as_long_as_a_body_with_rows_waiting_has_it() -> None:
    go = threading.Event()

    def run(items: Sequence[Any], whole: bool) -> list[str]:
        go.wait(SOON)
        return ["done"] * len(items)

    workers = Workers(1)
    slow, quick = (Scheduler(run, budget=1, cost_model=learnt(ms)) for ms in (10_000.0, 1.0))
    deadline = time.monotonic() + SOON / 60
    workers.check_room(deadline)  # nothing waits
    tickets = [scheduler.submit([Item(), Item()]) for scheduler in (slow, slow, quick)]
    workers.wake(slow)
    with pytest.raises(Unavailable):
        workers.check_room(deadline)
    workers.wake(quick)
    workers.check_room(deadline)
    go.set()
    for ticket in tickets:
        ticket.future.result(SOON)
    workers.close()
