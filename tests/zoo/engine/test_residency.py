"""Who leaves when memory is short: sizes and times only."""

from __future__ import annotations

from zoo.engine.residency import Resident, leavers, taken


def test_nobody_leaves_while_all_fit() -> None:
    assert leavers([Resident("a", 60, 1.0), Resident("b", 40, 2.0)], budget=100) == []


def test_the_least_recently_asked_for_leaves_first_and_no_more_than_need_be() -> None:
    residents = [Resident("new", 40, 3.0), Resident("old", 40, 1.0), Resident("middle", 40, 2.0)]
    assert leavers(residents, budget=100) == ["old"]
    assert leavers(residents, budget=40) == ["old", "middle"]


def test_what_is_in_use_stays_and_the_next_leaves_in_its_place() -> None:
    residents = [Resident("old", 60, 1.0, users=1), Resident("middle", 60, 2.0), Resident("new", 20, 3.0)]
    assert leavers(residents, budget=100) == ["middle"]


def test_the_budget_is_exceeded_while_all_are_in_use() -> None:
    assert leavers([Resident("a", 60, 1.0, users=2), Resident("b", 60, 2.0, users=1)], budget=100) == []


def test_one_that_is_larger_than_the_budget_stays_alone() -> None:
    residents = [Resident("small", 10, 2.0), Resident("huge", 500, 3.0), Resident("other", 10, 1.0)]
    assert leavers(residents, budget=100) == ["other", "small"]


def test_what_several_share_is_counted_once_and_leaves_with_the_last_of_them() -> None:
    sharers = [Resident(key, 5, asked, 0, "body", 90) for key, asked in (("old", 1.0), ("middle", 2.0))]
    assert taken([*sharers, Resident("new", 50, 3.0)]) == 150
    assert leavers([*sharers, Resident("new", 50, 3.0)], budget=145) == ["old"]
    assert leavers([*sharers, Resident("new", 50, 3.0)], budget=100) == ["old", "middle"]
