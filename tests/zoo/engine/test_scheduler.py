"""The rules of batching, one test each: rows of known cost, and runs that are held back until a test lets them go."""

from __future__ import annotations

import gc
import math
import threading
import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from zoo.engine.backlog import Backlog
from zoo.engine.cost_model import CostModel
from zoo.engine.scheduler import Scheduler
from zoo.engine.ticket import Ticket
from zoo.engine.workers import Workers
from zoo.errors import DeadlineExceeded, InvalidInput, RunFailed, Unavailable

SOON = 60.0


@dataclass(frozen=True)
class Item:
    """A row: its cost, and what is told of it."""

    cost: int
    name: str = ""


@dataclass
class Model:
    """Answers a row with its name; ``gate`` holds runs back, ``batches`` are the names that ran together."""

    gate: threading.Event = field(default_factory=threading.Event)
    begun: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    batches: list[list[str]] = field(default_factory=list)
    whole: list[bool] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.gate.set()

    def __call__(self, items: Sequence[Item], whole: bool) -> list[str]:
        self.batches.append([item.name for item in items])
        self.whole.append(whole)
        self.begun.release()
        assert self.gate.wait(SOON)
        if any(item.name == "poison" for item in items):
            raise ValueError("a node of the graph failed")
        return [f"answer to {item.name}" for item in items]


class Untaught(CostModel):
    """Learns nothing from runs: batches follow from lengths and budget alone."""

    def learn(self, rows: int, longest: int, ms: float) -> None:
        pass


def scheduler_of(model: Any, *, budget: int = 100) -> Scheduler:
    return Scheduler(model, budget=budget, cost_model=Untaught(budget))


def submit(scheduler: Scheduler, *costs: int, seconds: float = math.inf) -> Ticket:
    """A row for each cost, named by it."""
    deadline = math.inf if seconds == math.inf else time.monotonic() + seconds
    return scheduler.submit([Item(cost, str(cost)) for cost in costs], deadline=deadline)


def drain(scheduler: Scheduler) -> None:
    while scheduler.step():
        pass


def test_a_lone_request_starts_at_once() -> None:
    model = Model()
    scheduler, workers = scheduler_of(model), Workers(1)
    ticket = submit(scheduler, 5)
    workers.wake(scheduler)
    assert ticket.future.result(SOON) == ["answer to 5"]
    assert model.batches == [["5"]]
    workers.close()


def test_while_a_worker_runs_arrivals_wait_and_form_the_next_batch() -> None:
    model = Model()
    model.gate.clear()
    scheduler, workers = scheduler_of(model), Workers(1)
    first = submit(scheduler, 5)
    workers.wake(scheduler)
    assert model.begun.acquire(timeout=SOON)
    later = [submit(scheduler, cost) for cost in (6, 7, 8)]
    assert scheduler.waiting() == 3
    model.gate.set()
    assert [ticket.future.result(SOON) for ticket in (first, *later)] == [
        ["answer to 5"], ["answer to 6"], ["answer to 7"], ["answer to 8"]
    ]  # fmt: skip
    assert model.batches == [["5"], ["6", "7", "8"]]
    workers.close()


def test_a_batch_is_cut_by_its_budget_with_padding_counted() -> None:
    model = Model()
    scheduler = scheduler_of(model, budget=100)
    submit(scheduler, 10, 40, 30, 20, 25)
    drain(scheduler)
    # around the first to come: 20 and 25 stand nearest, a fourth row of 30 would make 120
    assert model.batches == [["10", "20", "25"], ["30", "40"]]


def test_a_batch_is_a_stretch_of_the_rows_in_order_of_length() -> None:
    model = Model()
    scheduler = scheduler_of(model, budget=60)
    submit(scheduler, 30, 3, 29, 4, 5)
    drain(scheduler)
    assert model.batches == [["29", "30"], ["3", "4", "5"]]


def test_the_row_with_the_nearest_deadline_is_in_the_next_batch() -> None:
    model = Model()
    scheduler = scheduler_of(model, budget=20)
    submit(scheduler, 10, 11, seconds=300)
    submit(scheduler, 2, seconds=100)
    submit(scheduler, 3, seconds=200)
    scheduler.step()
    assert model.batches == [["2", "3"]]


def test_a_row_over_the_budget_runs_by_itself() -> None:
    model = Model()
    scheduler = scheduler_of(model, budget=10)
    submit(scheduler, 500, 400)
    drain(scheduler)
    assert model.batches == [["500"], ["400"]]


def test_a_row_joins_no_batch_where_padding_costs_more_than_a_run_of_its_own() -> None:
    model = Model()
    scheduler = Scheduler(model, budget=1000)
    for rows, longest in ((1, 10), (1, 100), (4, 10), (4, 100)) * 5:
        scheduler.cost_model.learn(rows, longest, 0.5 + 0.1 * rows * longest)
    submit(scheduler, 10, 11, 100)
    drain(scheduler)
    assert model.batches == [["10", "11"], ["100"]]


def test_rows_are_shared_out_to_workers_that_are_idle() -> None:
    model = Model()
    scheduler = scheduler_of(model)
    submit(scheduler, 9, 9, 9, 9)
    scheduler.step(idle=1)
    assert model.batches == [["9", "9"]]


def test_a_row_that_is_alone_has_every_core() -> None:
    model = Model()
    scheduler = scheduler_of(model)
    submit(scheduler, 9)
    scheduler.step(idle=1, whole=True)
    submit(scheduler, 9, 9)
    scheduler.step(idle=1, whole=True)
    assert model.whole == [True, False]


def test_a_request_whose_client_left_is_dropped_before_the_batch_forms() -> None:
    model = Model()
    scheduler = scheduler_of(model)
    left, stays = submit(scheduler, 5, 6), submit(scheduler, 7)
    left.future.cancel()
    assert scheduler.waiting() == 1
    drain(scheduler)
    assert model.batches == [["7"]]
    assert stays.future.result(SOON) == ["answer to 7"]
    assert scheduler.counts["dropped"] == 2


def test_a_cancelled_request_does_not_disturb_its_batch_mates() -> None:
    model = Model()
    model.gate.clear()
    scheduler, workers = scheduler_of(model), Workers(1)
    tickets = [submit(scheduler, cost) for cost in (5, 6, 7)]
    workers.wake(scheduler)
    assert model.begun.acquire(timeout=SOON)
    tickets[1].future.cancel()
    model.gate.set()
    assert tickets[0].future.result(SOON) == ["answer to 5"]
    assert tickets[2].future.result(SOON) == ["answer to 7"]
    assert submit_and_run(scheduler, workers) == ["answer to 8"]
    workers.close()


def submit_and_run(scheduler: Scheduler, workers: Workers) -> list[Any]:
    ticket = submit(scheduler, 8)
    workers.wake(scheduler)
    return ticket.future.result(SOON)


def test_a_failing_batch_is_bisected_until_the_poison_row_fails_alone() -> None:
    model = Model()
    scheduler = scheduler_of(model, budget=1000)
    ticket = scheduler.submit([Item(9, "poison" if place == 13 else str(place)) for place in range(32)])
    drain(scheduler)
    answers = ticket.future.result(SOON)
    assert [place for place, answer in enumerate(answers) if isinstance(answer, RunFailed)] == [13]
    assert answers[:2] == ["answer to 0", "answer to 1"]
    assert len(model.batches) == 11  # 32, and two halves each at 16, 8, 4, 2 and 1


def test_an_error_of_a_single_row_reaches_its_own_caller_unchanged() -> None:
    refusal = InvalidInput("The picture has no pixels.", code="invalid_image")
    scheduler = scheduler_of(lambda items, whole: [refusal if item.cost == 5 else "fine" for item in items])
    bad, good = submit(scheduler, 5), submit(scheduler, 6)
    drain(scheduler)
    assert bad.future.result(SOON) == [refusal]
    assert good.future.result(SOON) == ["fine"]


def test_a_result_count_that_differs_is_an_error_for_that_batch_alone() -> None:
    scheduler = scheduler_of(lambda items, whole: ["one"])
    several = submit(scheduler, 5, 6)
    drain(scheduler)
    single = submit(scheduler, 7)
    drain(scheduler)
    assert [type(answer) for answer in several.future.result(SOON)] == [RunFailed, RunFailed]
    assert single.future.result(SOON) == ["one"]


def test_a_full_queue_refuses_at_once_with_the_seconds_until_there_is_room() -> None:
    scheduler = Scheduler(Model(), budget=100, backlog=Backlog(2))
    scheduler.cost_model.learn(1, 100, 10_000)
    submit(scheduler, 100, 100, 100, seconds=3600)
    with pytest.raises(Unavailable, match="full") as caught:
        submit(scheduler, 100, seconds=1)
    assert caught.value.code == "overloaded"
    assert caught.value.retry_after == pytest.approx(15.0)  # 30 s of work for two workers
    assert scheduler.waiting() == 3
    assert scheduler.counts["refused"] == 1


def test_a_row_that_would_wait_for_nearly_all_of_its_time_is_refused_too() -> None:
    scheduler = Scheduler(Model(), budget=100)
    scheduler.cost_model.learn(1, 100, 1000)
    submit(scheduler, 100, 100, 100, seconds=3600)
    with pytest.raises(Unavailable):
        submit(scheduler, 100, seconds=4)
    assert scheduler.waiting() == 3
    submit(scheduler, 100, seconds=7)
    assert scheduler.waiting() == 4


def test_an_empty_queue_is_never_full_however_little_time_there_is() -> None:
    scheduler = Scheduler(Model(), budget=100)
    scheduler.backlog.check_room(time.monotonic() - 1)
    assert submit(scheduler, 5, seconds=0.0).count == 1


def test_whether_there_is_room_is_told_before_there_is_a_row() -> None:
    scheduler = Scheduler(Model(), budget=100)
    scheduler.cost_model.learn(1, 100, 1000)
    scheduler.backlog.check_room(time.monotonic() + 1)
    submit(scheduler, 100, 100, 100, seconds=3600)
    with pytest.raises(Unavailable):
        scheduler.backlog.check_room(time.monotonic() + 1)
    assert (scheduler.waiting(), scheduler.counts["refused"]) == (3, 1)


def test_a_row_whose_time_is_over_is_answered_and_not_run() -> None:
    model = Model()
    scheduler = scheduler_of(model)
    late, other = submit(scheduler, 5, seconds=0.01), submit(scheduler, 6)
    while time.monotonic() <= late.deadline:
        pass
    drain(scheduler)
    assert [type(answer) for answer in late.future.result(SOON)] == [DeadlineExceeded]
    assert other.future.result(SOON) == ["answer to 6"]
    assert model.batches == [["6"]]


def test_shutdown_answers_every_waiter_and_takes_no_more() -> None:
    scheduler = scheduler_of(Model())
    tickets = [submit(scheduler, cost) for cost in (5, 6)]
    scheduler.close()
    assert [type(answer) for ticket in tickets for answer in ticket.future.result(SOON)] == [Unavailable, Unavailable]
    with pytest.raises(Unavailable, match="about to end"):
        submit(scheduler, 7)


def test_no_rows_are_answered_at_once() -> None:
    assert scheduler_of(Model()).submit([]).future.result(SOON) == []


def test_a_ticket_tells_of_its_batches_how_much_was_padding_and_how_many_rows_were_others() -> None:
    scheduler = scheduler_of(Model())
    mine, other = submit(scheduler, 10, 10), submit(scheduler, 20)
    drain(scheduler)
    (batch,) = mine.batches
    assert (batch.rows, batch.others) == (3, 1)
    assert batch.padding == pytest.approx(1 - 40 / 60)
    assert other.batches[0].others == 2
    assert [scheduler.counts[name] for name in ("run", "cost", "padded_cost")] == [3, 40, 60]


def test_answers_keep_their_order_over_several_batches() -> None:
    scheduler = scheduler_of(Model(), budget=10)
    ticket = submit(scheduler, 9, 3, 8, 2, 7)
    drain(scheduler)
    assert ticket.future.result(SOON) == [f"answer to {cost}" for cost in (9, 3, 8, 2, 7)]
    assert len(ticket.batches) > 1


def test_bodies_that_share_workers_let_in_together_what_can_be_answered_in_time() -> None:
    backlog = Backlog()
    schedulers = [Scheduler(Model(), budget=100, backlog=backlog) for _ in range(4)]
    for scheduler in schedulers:
        scheduler.cost_model.learn(1, 100, 1000)
    let_in = 0
    with pytest.raises(Unavailable):
        for scheduler in schedulers * 10:
            submit(scheduler, 100, seconds=12.5)
            let_in += 1
    assert let_in == 7  # half of its time, six seconds of work, may be before a row
    schedulers[0].close()
    submit(schedulers[1], 100, seconds=12.5)


def test_what_runs_counts_for_the_other_bodies_too() -> None:
    model, backlog = Model(), Backlog()
    one, other = (Scheduler(model, budget=100, backlog=backlog) for _ in range(2))
    one.cost_model.learn(1, 100, 60_000)
    model.gate.clear()
    submit(one, 100)
    running = threading.Thread(target=one.step)
    running.start()
    assert model.begun.acquire(timeout=SOON)
    with pytest.raises(Unavailable) as caught:
        submit(other, 1, seconds=10)
    assert caught.value.retry_after == pytest.approx(30.0)
    model.gate.set()
    running.join(SOON)
    submit(other, 1, seconds=10)


def test_inputs_of_rows_that_ran_are_let_go_while_others_wait() -> None:
    scheduler = scheduler_of(Model(), budget=1)
    submit(scheduler, 1, seconds=1)  # the heap's top, which runs first
    inputs = []
    for _ in range(300):
        item = Item(1)
        inputs.append(weakref.ref(item))
        scheduler.submit([item], deadline=time.monotonic() + 100 - len(inputs) / 10)
        del item
        scheduler.step()
    assert scheduler.waiting() == 1
    gc.collect()
    assert sum(one() is not None for one in inputs) <= 67
