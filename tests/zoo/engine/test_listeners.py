"""Threads of tasks that share batches by themselves: who would wait too long for one is told so at once."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from zoo.engine.listeners import Listeners
from zoo.engine.row_counts import RowCounts
from zoo.errors import Unavailable


def test_a_turn_that_would_come_too_late_is_refused_with_the_wait_and_counted() -> None:
    async def ask() -> Unavailable:
        await listeners.run(lambda: time.sleep(0.2))
        asked = [asyncio.create_task(listeners.run(gate.wait)) for _ in range(10)]
        await asyncio.sleep(0)
        listeners.check_room(time.monotonic() + 60)
        with pytest.raises(Unavailable) as caught:
            listeners.check_room(time.monotonic() + 1)
        gate.set()
        await asyncio.gather(*asked)
        listeners.check_room(time.monotonic() + 1)
        return caught.value

    counts, gate = RowCounts(), threading.Event()
    listeners = Listeners(2, counts)
    refused = asyncio.run(ask())
    listeners.pool.shutdown()
    assert (refused.code, counts["refused"]) == ("overloaded", 1)
    assert refused.retry_after == pytest.approx(1.0, abs=0.5)  # nine turns of .2 s by two threads: .9 s, told as 1


def test_a_wave_is_told_by_those_that_run_before_one_has_ended() -> None:
    async def ask() -> None:
        asked = [asyncio.create_task(listeners.run(gate.wait)) for _ in range(10)]
        await asyncio.sleep(0.3)
        with pytest.raises(Unavailable):
            listeners.check_room(time.monotonic() + 1)
        gate.set()
        await asyncio.gather(*asked)

    gate = threading.Event()
    listeners = Listeners(2, RowCounts())
    asyncio.run(ask())
    listeners.pool.shutdown()


def test_a_free_thread_is_never_refused() -> None:
    async def ask() -> None:
        await listeners.run(lambda: time.sleep(0.2))
        listeners.check_room(time.monotonic() + 0.1)

    listeners = Listeners(1, RowCounts())
    asyncio.run(ask())
    listeners.pool.shutdown()


def test_steps_of_what_is_answered_bit_by_bit_count_as_well() -> None:
    gate = threading.Event()
    listeners = Listeners(2, RowCounts())
    steps = [listeners.submit(gate.wait) for _ in range(10)]
    time.sleep(0.3)
    with pytest.raises(Unavailable):
        listeners.check_room(time.monotonic() + 1)
    gate.set()
    assert all(step.result(30) for step in steps)
    listeners.check_room(time.monotonic() + 1)
    listeners.pool.shutdown()
