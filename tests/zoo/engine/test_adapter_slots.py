"""Who holds an adapter keeps its slot; others leave when there is no room, and come back."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from zoo.catalogue.slot_table import ADAPTER, SlotLinear, SlotTable
from zoo.engine.adapter_slots import BARE, AdapterSlots, Slot
from zoo.engine.adapter_weights import AdapterWeights
from zoo.engine.session import Array
from zoo.errors import InvalidInput, Unavailable

TABLE = SlotTable(linears={"layer": SlotLinear(inputs=4, outputs=6, down="down", up="up")})
EIGHT = 4 * (4 * 8 + 8 * 6)  # bytes of an adapter of rank 8


def weights(value: float, rank: int = 8) -> AdapterWeights:
    shapes = TABLE.stacks(rank)
    return AdapterWeights(rank, {name: np.full(shape, value, dtype=np.float32) for name, shape in shapes.items()})


def unread() -> AdapterWeights:
    raise AssertionError("it is in memory")


def seen(slots: AdapterSlots, *rows: Slot) -> list[float]:
    """What the graph gathers for each row: the first number of B."""
    feeds = slots.feeds({"x": np.zeros((len(rows), 2), dtype=np.float32)}, rows)
    places = np.broadcast_to(feeds[ADAPTER], (len(rows),))
    return [float(feeds["up"][place].ravel()[0]) for place in places]


def test_an_adapter_is_read_once_and_stays() -> None:
    slots = AdapterSlots(TABLE, budget=10 * EIGHT)
    with slots.hold("a", lambda: weights(1)) as slot:
        assert seen(slots, slot) == [1]
    with slots.hold("a", unread) as again:
        assert again == slot
    assert slots.residents() == {"a": EIGHT}
    assert slots.has("a") and not slots.has("b")


def test_rows_without_an_adapter_see_zeros_beside_others() -> None:
    slots = AdapterSlots(TABLE, budget=10 * EIGHT)
    with slots.hold("a", lambda: weights(1)) as a, slots.hold("b", lambda: weights(2)) as b:
        assert seen(slots, b, BARE, a, b) == [2, 0, 1, 2]
        assert seen(slots, BARE, BARE) == [0, 0]


def test_rows_of_one_adapter_are_told_by_a_single_place() -> None:
    slots = AdapterSlots(TABLE, budget=10 * EIGHT)
    with slots.hold("a", lambda: weights(1)) as a:
        assert slots.feeds({"x": np.zeros((3, 2))}, [a, a, a])[ADAPTER].tolist() == [a.place]


def test_adapters_of_other_ranks_are_padded_for_the_batch_they_share() -> None:
    slots = AdapterSlots(TABLE, budget=100 * EIGHT)
    with slots.hold("a", lambda: weights(1)) as a, slots.hold("b", lambda: weights(2, rank=16)) as b:
        feeds = slots.feeds({"x": np.zeros((3, 2))}, [b, BARE, a])
        up: Array = feeds["up"][feeds[ADAPTER]]
        assert up.shape == (3, 16, 6)
        assert (up[0] == 2).all() and (up[1] == 0).all()
        assert (up[2, :8] == 1).all() and (up[2, 8:] == 0).all()


def test_the_adapter_that_was_used_longest_ago_leaves_for_a_new_one() -> None:
    slots = AdapterSlots(TABLE, budget=2 * EIGHT)
    for key, value in (("a", 1), ("b", 2)):
        with slots.hold(key, lambda value=value: weights(value)):  # type: ignore[misc]
            pass
    with slots.hold("a", unread):
        pass
    with slots.hold("c", lambda: weights(3)) as c:
        assert seen(slots, c) == [3]
    assert sorted(slots.residents()) == ["a", "c"]


def test_an_adapter_that_left_comes_back() -> None:
    slots = AdapterSlots(TABLE, budget=EIGHT)
    for key, value in (("a", 1), ("b", 2), ("a", 3)):
        with slots.hold(key, lambda value=value: weights(value)) as slot:  # type: ignore[misc]
            assert seen(slots, slot) == [value]
    assert slots.residents() == {"a": EIGHT}


def test_an_adapter_that_changes_fewer_layers_finds_nothing_of_the_one_before() -> None:
    slots = AdapterSlots(TABLE, budget=EIGHT)
    with slots.hold("a", lambda: weights(1)):
        pass
    with slots.hold("b", lambda: AdapterWeights(8, {})) as slot:
        assert seen(slots, slot) == [0]


def test_a_slot_that_is_held_is_not_given_away() -> None:
    slots = AdapterSlots(TABLE, budget=EIGHT, patience=0.0)
    with slots.hold("a", lambda: weights(1)) as a:
        with pytest.raises(Unavailable):
            with slots.hold("b", lambda: weights(2)):
                pass
        assert seen(slots, a) == [1]
    assert slots.residents() == {"a": EIGHT}


def test_who_finds_no_room_waits_for_a_slot_to_become_free() -> None:
    slots = AdapterSlots(TABLE, budget=EIGHT)
    reading = threading.Event()

    def read() -> AdapterWeights:
        reading.set()
        return weights(2)

    def second() -> list[float]:
        with slots.hold("b", read) as slot:
            return seen(slots, slot)

    with ThreadPoolExecutor(1) as pool:
        with slots.hold("a", lambda: weights(1)) as a:
            waiting = pool.submit(second)
            assert reading.wait(10)
            assert seen(slots, a) == [1]
        assert waiting.result(10) == [2]


def test_adapters_are_added_while_others_run() -> None:
    slots = AdapterSlots(TABLE, budget=4 * EIGHT)
    with slots.hold("a", lambda: weights(1)) as a:
        feeds = slots.feeds({"x": np.zeros((1, 2))}, [a])
        for number in range(20):
            with slots.hold(f"other {number}", lambda: weights(9)):
                pass
        assert (feeds["up"][feeds[ADAPTER]] == 1).all()


def test_first_requests_at_once_read_an_adapter_once() -> None:
    slots, read, together = AdapterSlots(TABLE, budget=10 * EIGHT), [], threading.Barrier(4)

    def load() -> AdapterWeights:
        read.append(1)
        return weights(1)

    def ask() -> list[float]:
        together.wait(10)
        with slots.hold("a", load) as slot:
            return seen(slots, slot)

    with ThreadPoolExecutor(4) as pool:
        assert [one.result(10) for one in [pool.submit(ask) for _ in range(4)]] == [[1]] * 4
    assert len(read) == 1


def test_an_adapter_that_cannot_be_read_leaves_nothing_behind() -> None:
    slots = AdapterSlots(TABLE, budget=EIGHT)

    def broken() -> AdapterWeights:
        raise InvalidInput("no adapter")

    with pytest.raises(InvalidInput), slots.hold("a", broken):
        pass
    assert slots.residents() == {}
    with slots.hold("a", lambda: weights(1)) as slot:
        assert seen(slots, slot) == [1]


def test_a_single_adapter_larger_than_the_budget_finds_room() -> None:
    slots = AdapterSlots(TABLE, budget=1)
    with slots.hold("a", lambda: weights(1)) as slot:
        assert seen(slots, slot) == [1]


def test_a_dropped_adapter_is_gone_unless_it_is_held() -> None:
    slots = AdapterSlots(TABLE, budget=EIGHT)
    with slots.hold("a", lambda: weights(1)):
        assert not slots.drop("a")
    assert slots.drop("a")
    assert slots.residents() == {}
    assert not slots.drop("a")


def test_a_batch_with_another_number_of_slots_than_rows_is_a_fault() -> None:
    with pytest.raises(ValueError, match="as many slots as rows"):
        AdapterSlots(TABLE, budget=EIGHT).feeds({"x": np.zeros((2, 2))}, [BARE])


def test_a_device_is_sent_the_adapters_of_a_batch_alone() -> None:
    slots = AdapterSlots(TABLE, budget=100 * EIGHT, apart=True)
    with slots.hold("a", lambda: weights(1)) as a, slots.hold("b", lambda: weights(2)) as b:
        assert seen(slots, b, a, b) == [2, 1, 2]
        assert len(slots.feeds({"x": np.zeros((3, 2))}, [b, a, b])["up"]) == 2
