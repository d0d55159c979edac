"""Items of several threads are answered together, in the order in which they came, and errors reach those concerned."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from time import monotonic, sleep

import pytest

from zoo.errors import DeadlineExceeded, RunFailed, TooLarge, ZooError
from zoo.tasks.decoding.caller import Caller
from zoo.tasks.decoding.shared_batches import SharedBatches, answered


def pairs(waiting: Sequence[int]) -> list[int]:
    """At most two items of the same sign as the first."""
    return [place for place, item in enumerate(waiting) if (item < 0) == (waiting[0] < 0)][:2]


class Room:
    """Batches of numbers, which are answered with ten times themselves; the first batch waits until it is let go."""

    def __init__(self, pick: Callable[[Sequence[int]], list[int]]) -> None:
        self.batches = SharedBatches[int, int](pick)
        self.seen: list[list[int]] = []
        self.go = threading.Event()
        self.pool = ThreadPoolExecutor(8)

    def answer(self, batch: list[int]) -> list[int]:
        self.seen.append(batch)
        assert self.go.wait(30)
        if 13 in batch:
            raise ValueError("thirteen")
        return [10 * item for item in batch]

    def ask(self, *items: int, caller: Caller | None = None) -> Future[list[int | ZooError]]:
        """Returns when the items wait, or are being answered."""
        before = self._known()
        asked = self.pool.submit(self.batches, items, self.answer, caller)
        end = monotonic() + 30
        while self._known() < before + len(items) and monotonic() < end:
            sleep(0.001)
        return asked

    def _known(self) -> int:
        return sum(map(len, self.seen)) + len(self.batches._waiting)


def test_who_comes_while_a_batch_runs_shares_the_next_one() -> None:
    room = Room(lambda waiting: list(range(len(waiting))))
    asked = [room.ask(1), room.ask(2, 3), room.ask(4)]
    room.go.set()
    assert [one.result(30) for one in asked] == [[10], [20, 30], [40]]
    assert room.seen == [[1], [2, 3, 4]]


def test_each_caller_is_told_of_its_batches_and_of_nobody_else() -> None:
    room = Room(lambda waiting: list(range(len(waiting))))
    room.batches = SharedBatches[int, int](lambda waiting: list(range(len(waiting))), cost=lambda item: item)
    one, other = Caller(), Caller()
    asked = [room.ask(1), room.ask(2, 4, caller=one), room.ask(4, caller=other)]
    room.go.set()
    for wait in asked:
        wait.result(30)
    (mine,), (theirs,) = one.batches, other.batches
    assert (mine.rows, mine.others, theirs.rows, theirs.others) == (3, 1, 3, 2)
    assert mine.padding == theirs.padding == pytest.approx(2 / 12)
    assert mine.run_ms == theirs.run_ms and mine.queue_ms >= theirs.queue_ms > 0


def test_batches_are_picked_in_the_order_of_arrival() -> None:
    room = Room(pairs)
    asked = [room.ask(1), room.ask(2, -3, 4, 5), room.ask(-6)]
    room.go.set()
    assert [one.result(30) for one in asked] == [[10], [20, -30, 40, 50], [-60]]
    assert room.seen == [[1], [2, 4], [-3, -6], [5]]


def test_an_item_that_cannot_be_run_fails_alone() -> None:
    room = Room(lambda waiting: list(range(len(waiting))))
    asked = [room.ask(1), room.ask(2), room.ask(13, 3), room.ask(4, 5)]
    room.go.set()
    assert [asked[place].result(30) for place in (0, 1, 3)] == [[10], [20], [40, 50]]
    fault, answer = asked[2].result(30)
    assert isinstance(fault, RunFailed) and answer == 30
    assert room.seen == [[1], [2, 13, 3, 4, 5], [2, 13], [2], [13], [3, 4, 5]]


def test_an_error_made_on_purpose_reaches_its_item_as_it_is() -> None:
    def refuse(batch: list[int]) -> list[int]:
        raise TooLarge("Too long.")

    (found,) = Room(pairs).batches([1], refuse)
    assert isinstance(found, TooLarge)
    with pytest.raises(TooLarge, match="Too long"):
        answered([10, found])


def test_items_of_a_caller_that_left_are_not_run() -> None:
    room, leaving = Room(pairs), Caller()
    first, left, last = room.ask(1), room.ask(2, 3, caller=leaving), room.ask(4)
    leaving.leave()
    room.go.set()
    assert [first.result(30), last.result(30)] == [[10], [40]]
    with pytest.raises(DeadlineExceeded):
        left.result(30)
    assert room.seen == [[1], [4]]


def test_a_caller_that_left_is_answered_nothing_more() -> None:
    caller = Caller()
    caller.leave()
    with pytest.raises(DeadlineExceeded):
        Room(pairs).batches([1], lambda batch: batch, caller)


def test_nothing_asked_is_nothing_answered() -> None:
    assert Room(pairs).batches([], lambda batch: batch) == []
