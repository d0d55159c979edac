"""Which rows batches are cut from, and which wait behind them."""

from __future__ import annotations

import gc
import itertools
import random
import weakref
from collections.abc import Sequence

from zoo.engine.ticket import Ticket, Waiting
from zoo.engine.waiting_line import WaitingLine

_orders = itertools.count()


class Item:
    """Something that is scheduled."""


def row(cost: int, *, deadline: float = 1.0, ticket: Ticket | None = None) -> Waiting:
    return Waiting(cost, next(_orders), Item(), ticket or Ticket(1, deadline), 0, 1.0)


def line(*rows: Waiting, window: int = 3) -> WaitingLine:
    made = WaitingLine(window)
    for one in rows:
        made.add(one)
    return made


def costs(made: WaitingLine) -> list[int]:
    return [one.cost for one in made.window]


def test_the_window_holds_the_rows_with_the_nearest_deadlines_by_cost() -> None:
    rows = [row(9), row(3), row(6), row(1), row(2)]
    made = line(*rows)
    assert costs(made) == [3, 6, 9]
    assert (len(made), made.cost, sorted(one.cost for one in made)) == (5, 21, [1, 2, 3, 6, 9])
    assert made.take(1, 2) == [rows[2]]
    assert costs(made) == [1, 3, 9]  # the one that has waited longest behind it comes in


def test_a_row_that_is_in_a_hurry_comes_in_beside_them() -> None:
    made = line(row(9), row(3), row(6), row(7), row(5, deadline=0.5))
    assert costs(made) == [3, 5, 6, 9]
    nearest = made.nearest()
    assert nearest is not None and nearest.cost == 5


def test_a_row_with_more_time_waits_behind() -> None:
    made = line(row(9, deadline=2.0), row(3), row(6), row(1, deadline=1.5), row(2))
    assert costs(made) == [3, 6, 9]
    made.take(0, 2)
    assert costs(made) == [1, 2, 9]


def test_rows_of_one_caller_come_in_together() -> None:
    mine = Ticket(5, 1.0)
    made = line(row(9), *(row(cost, ticket=mine) for cost in (8, 7, 6, 5, 4)), row(1))
    assert costs(made) == [4, 5, 6, 7, 8, 9]
    assert [one.cost for one in made.of(mine)] == [4, 5, 6, 7, 8]


def test_rows_that_leave_make_room_wherever_they_wait() -> None:
    rows = [row(cost) for cost in (9, 3, 6, 1, 2, 4)]
    made = line(*rows)
    made.remove([rows[3], rows[1]])
    assert (costs(made), len(made), made.cost) == ([2, 6, 9], 4, 21)
    made.remove(rows[:1] + rows[2:3] + rows[4:])
    assert (costs(made), len(made), made.cost, made.nearest()) == ([], 0, 0, None)


def test_rows_that_were_taken_are_let_go() -> None:
    last = row(1, deadline=9.0)
    made = line(last, window=2)
    seen: list[weakref.ref[Item]] = []
    for place in range(300):
        one = row(2, deadline=8.0 - place / 100)
        seen.append(weakref.ref(one.item))
        made.add(one)
        made.remove([one])
        del one
    gc.collect()
    assert sum(ref() is not None for ref in seen) <= 130
    assert made.nearest() is last


def test_any_order_of_coming_and_going_gives_every_row_once() -> None:
    draw = random.Random(3)
    for _ in range(50):
        made, taken, came = line(window=draw.randint(1, 6)), [], 0
        for _ in range(120):
            if draw.random() < 0.6:
                ticket = Ticket(3, draw.choice([1.0, 2.0, 3.0]))
                count = draw.randint(1, 3)
                came += count
                for _ in range(count):
                    made.add(row(draw.randint(1, 5), ticket=ticket))
            elif (nearest := made.nearest()) is not None:
                assert _key(nearest) == min(map(_key, made))
                low = made.place(nearest)
                taken += made.take(low, min(low + draw.randint(1, 3), len(made.window)))
            assert made.cost == sum(one.cost for one in made)
            assert costs(made) == sorted(costs(made))
        assert len(taken) + len(made) == came == len(_different([*taken, *made]))


def _key(one: Waiting) -> tuple[float, int]:
    return one.ticket.deadline, one.order


def _different(rows: Sequence[Waiting]) -> set[int]:
    return {one.order for one in rows}
