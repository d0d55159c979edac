"""Items of several threads are answered together, in the order in which they came, and errors reach those concerned."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from time import monotonic, sleep

import pytest

from zoo.tasks.decoding.shared_batches import SharedBatches


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

    def ask(self, *items: int) -> Future[list[int]]:
        """Returns when the items wait, or are being answered."""
        before = self._known()
        asked = self.pool.submit(self.batches, items, self.answer)
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


def test_batches_are_picked_in_the_order_of_arrival() -> None:
    room = Room(pairs)
    asked = [room.ask(1), room.ask(2, -3, 4, 5), room.ask(-6)]
    room.go.set()
    assert [one.result(30) for one in asked] == [[10], [20, -30, 40, 50], [-60]]
    assert room.seen == [[1], [2, 4], [-3, -6], [5]]


def test_an_error_reaches_those_whose_batch_it_was_and_nobody_else() -> None:
    room = Room(pairs)
    asked = [room.ask(1), room.ask(2), room.ask(13), room.ask(4, 5)]
    room.go.set()
    assert asked[0].result(30) == [10]
    for one in asked[1:3]:
        with pytest.raises(ValueError, match="thirteen"):
            one.result(30)
    assert asked[3].result(30) == [40, 50]


def test_nothing_asked_is_nothing_answered() -> None:
    assert Room(pairs).batches([], lambda batch: batch) == []
