"""Threads that run what schedulers hold."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from zoo.engine.scheduler import Scheduler
from zoo.engine.workers import Workers
from zoo.errors import Unavailable

SOON = 60.0


@dataclass(frozen=True)
class Item:
    cost: int = 1


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

    workers, scheduler = Workers(2), Scheduler(run, budget=9)
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


def test_a_model_that_nobody_holds_is_not_kept_by_threads_that_sleep() -> None:
    class Model:
        def run(self, items: Sequence[Any], whole: bool) -> list[str]:
            return ["done"] * len(items)

    workers, model = Workers(2), Model()
    scheduler = Scheduler(model.run, budget=1)
    tickets = [scheduler.submit([Item()]) for _ in range(4)]
    workers.wake(scheduler, 4)
    for ticket in tickets:
        assert ticket.future.result(SOON) == ["done"]
    there = weakref.ref(model)
    del model, scheduler, tickets, ticket
    end = time.monotonic() + SOON
    while there() is not None and time.monotonic() < end:
        gc.collect()  # a thread may be on its way to sleep
    assert there() is None
    workers.close()


def test_at_the_end_what_waits_in_any_queue_is_refused_also_of_a_model_that_has_left_its_shelf() -> None:
    gate, begun = threading.Event(), threading.Event()

    def run(items: Sequence[Any], whole: bool) -> list[str]:
        begun.set()
        assert gate.wait(SOON)
        return ["done"] * len(items)

    gate.set()
    workers = Workers(1)
    busy, _ = workers.queue(run, Item(), budget=1)
    other, _ = workers.queue(run, Item(), budget=1)
    gate.clear()
    begun.clear()
    runs = busy.submit([Item()])
    workers.wake(busy)
    assert begun.wait(SOON)
    waits = other.submit([Item()])
    ending = threading.Thread(target=workers.close)
    ending.start()
    assert [type(answer) for answer in waits.future.result(SOON)] == [Unavailable]
    gate.set()
    ending.join(SOON)
    assert runs.future.result(SOON) == ["done"]
    late, _ = workers.queue(run, Item(), budget=1)
    with pytest.raises(Unavailable):
        late.submit([Item()])
