"""Loaded things by key: once, within a budget, never taken from whoever uses them."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from zoo.engine.shelf import Change, Shared, Shelf, Wanted
from zoo.errors import Unavailable


class Thing:
    """Something to load."""

    def __init__(self, key: str) -> None:
        self.key = key


class Meter:
    """Resident memory of a process that is made up: grows by what ``loading`` says."""

    def __init__(self) -> None:
        self.bytes = 1000

    def __call__(self) -> int:
        return self.bytes

    def loading(self, key: str, size: int) -> Callable[[], Thing]:
        def make() -> Thing:
            self.bytes += size
            thing = Thing(key)
            weakref.finalize(thing, self._freed, size)
            return thing

        return make

    def _freed(self, size: int) -> None:
        self.bytes -= size


@pytest.fixture
def meter() -> Meter:
    return Meter()


def shelf_of(meter: Meter, budget: int, *, limit: int = 10_000) -> Shelf[Thing]:
    return Shelf(budget, limit=limit, resident=meter)


def wanted(meter: Meter, key: str, size: int, *, files: int = 1, stamp: object = None) -> Wanted[Thing]:
    return Wanted(key, stamp, files, meter.loading(key, size))


def keys(shelf: Shelf[Thing]) -> list[str]:
    return sorted(held.key for held in shelf.held())


def test_a_thing_takes_what_the_process_grew_by_but_at_least_its_files(meter: Meter) -> None:
    shelf = shelf_of(meter, 1000)
    shelf.get(wanted(meter, "grown", 70, files=40))
    shelf.get(wanted(meter, "mapped", 10, files=40))
    assert {held.key: held.bytes for held in shelf.held()} == {"grown": 70, "mapped": 40}


def test_the_least_recently_asked_for_leaves_and_comes_back(meter: Meter) -> None:
    shelf = shelf_of(meter, 100)
    first, second, third = (wanted(meter, key, 50) for key in ("a", "b", "c"))
    shelf.get(first)
    shelf.get(second)
    shelf.get(first)
    shelf.get(third)
    assert keys(shelf) == ["a", "c"]
    assert meter.bytes == 1000 + 100
    assert shelf.get(second).key == "b"
    assert keys(shelf) == ["b", "c"]


def test_room_is_made_before_a_thing_is_loaded_as_far_as_its_size_is_known(meter: Meter) -> None:
    shelf = shelf_of(meter, 100)
    shelf.get(wanted(meter, "a", 60))
    seen: list[int] = []

    def make() -> Thing:
        seen.append(meter.bytes)
        return Thing("b")

    shelf.get(Wanted("b", None, 60, make))
    assert seen == [1000]


def test_a_thing_in_use_stays_until_its_last_user_is_done(meter: Meter) -> None:
    shelf = shelf_of(meter, 100)
    with shelf.lent(wanted(meter, "a", 60)) as thing, shelf.lent(wanted(meter, "b", 60)):
        assert keys(shelf) == ["a", "b"]
        assert shelf.get(wanted(meter, "a", 60)) is thing
        assert keys(shelf) == ["a", "b"]
    assert keys(shelf) == ["a"]


def test_who_uses_a_thing_that_is_dropped_goes_on_with_it(meter: Meter) -> None:
    shelf = shelf_of(meter, 100)
    with shelf.lent(wanted(meter, "a", 60)) as thing:
        shelf.drop(lambda key: key == "a")
        assert (thing.key, keys(shelf), meter.bytes) == ("a", [], 1060)
    del thing
    assert meter.bytes == 1000


def test_one_larger_than_the_budget_is_loaded_alone_with_a_warning(
    meter: Meter, caplog: pytest.LogCaptureFixture
) -> None:
    shelf = shelf_of(meter, 100)
    shelf.get(wanted(meter, "small", 10))
    huge = shelf.get(wanted(meter, "huge", 500))
    assert shelf.get(wanted(meter, "huge", 500)) is huge
    assert keys(shelf) == ["huge"]
    (record,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert record.getMessage() == "a model alone takes more than the budget: raise ZOO_MEMORY"


def test_one_larger_than_the_machine_is_refused_before_it_is_loaded_and_nobody_leaves(meter: Meter) -> None:
    shelf = shelf_of(meter, 100, limit=400)
    shelf.get(wanted(meter, "small", 10))
    with pytest.raises(Unavailable, match=r"^huge takes 0 MB of memory") as caught:
        shelf.get(wanted(meter, "huge", 500, files=500))
    assert (caught.value.code, keys(shelf), meter.bytes) == ("memory_limit", ["small"], 1010)


def test_a_load_that_fails_leaves_nothing_and_is_tried_again(meter: Meter) -> None:
    shelf = shelf_of(meter, 100)

    def fail() -> Thing:
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        shelf.get(Wanted("a", None, 90, fail))
    assert shelf.here("a") is None
    shelf.get(wanted(meter, "b", 90))
    assert shelf.get(wanted(meter, "a", 5)).key == "a"
    assert keys(shelf) == ["a", "b"]


def test_a_stale_thing_is_replaced(meter: Meter) -> None:
    shelf = shelf_of(meter, 100)
    first = shelf.get(wanted(meter, "a", 10, stamp="one"))
    assert shelf.get(wanted(meter, "a", 10, stamp="one")) is first
    assert shelf.get(wanted(meter, "a", 10, stamp="two")) is not first


def test_concurrent_first_users_load_once_and_nobody_waits_for_another_thing(meter: Meter) -> None:
    shelf = shelf_of(meter, 100)
    begun, gate, loads = threading.Event(), threading.Event(), []

    def slow() -> Thing:
        loads.append("slow")
        begun.set()
        assert gate.wait(30)
        return Thing("slow")

    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(shelf.get, Wanted("slow", None, 1, slow)) for _ in range(3)]
        assert begun.wait(30)
        assert shelf.get(wanted(meter, "quick", 1)).key == "quick"
        gate.set()
        assert len({id(future.result(30)) for future in asked}) == 1
    assert loads == ["slow"]


def test_memory_before_and_after_each_load_and_unload_is_told(meter: Meter) -> None:
    shelf = shelf_of(meter, 100)
    shelf.get(wanted(meter, "a", 60))
    shelf.get(wanted(meter, "b", 60))
    assert shelf.changes() == [
        Change("a", "load", 1000, 1060),
        Change("b", "load", 1060, 1120),
        Change("a", "unload", 1120, 1060),
    ]
    assert shelf.counts() == {("a", "load"): 1, ("b", "load"): 1, ("a", "unload"): 1}


def test_what_several_share_stays_counted_when_the_one_that_loaded_it_has_left(meter: Meter) -> None:
    shelf, body = shelf_of(meter, 200), Shared("body", lambda: 40)
    shelf.get(Wanted("first", None, 5, meter.loading("first", 95), body))  # 90 of them for the body
    shelf.get(Wanted("second", None, 5, meter.loading("second", 5), body))
    assert {held.key: held.bytes for held in shelf.held()} == {"first": 5, "second": 5}
    assert shelf.taken() == 100
    shelf.drop(lambda key: key == "first")
    assert shelf.taken() == 95
    shelf.get(wanted(meter, "other", 106))
    assert keys(shelf) == ["other"]
    assert shelf.taken() == 106


def test_something_fits_where_nothing_has_to_leave_for_it_and_what_it_shares(meter: Meter) -> None:
    shelf, body = shelf_of(meter, 100), Shared("body", lambda: 40)
    shelf.get(wanted(meter, "other", 55))
    assert shelf.fits(Wanted("first", None, 5, meter.loading("first", 45), body))
    assert not shelf.fits(Wanted("first", None, 6, meter.loading("first", 46), body))
    shelf.get(Wanted("first", None, 5, meter.loading("first", 45), body))
    assert not shelf.fits(Wanted("second", None, 1, meter.loading("second", 1), body))
    shelf.drop(lambda key: key == "other")
    assert shelf.fits(Wanted("second", None, 55, meter.loading("second", 55), body))
