"""Requests on an alias that rolls out: who answers, whose fault it is, and the way back."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from tests.zoo.engine.rollout_bench import Bench, run, sides
from zoo.catalogue.alias import Alias
from zoo.catalogue.rollout import Rule
from zoo.errors import ArtifactCorrupt, DeadlineExceeded, InvalidInput, ModelNotFound, Unavailable, ZooError

# ---- the choice


@pytest.mark.parametrize(("weight", "canary"), [(1, 1), (10, 10), (25, 25), (50, 50), (99, 99)])
def test_of_100_requests_as_many_go_to_the_canary_as_its_weight_says(bench: Bench, weight: int, canary: int) -> None:
    bench.start(canary=2, weight=weight)
    answered = run(bench.many(100))
    assert abs(answered[2] - canary) <= 1
    assert answered[1] + answered[2] == 100


def test_every_second_request_gets_the_canary_as_often_as_all_do(bench: Bench) -> None:
    bench.start(canary=2, weight=50)

    async def ask() -> list[int]:
        return [await bench.answered() for _ in range(200)]

    answered = run(ask())
    assert abs(answered[::2].count(2) - 50) <= 2


def test_without_a_rollout_the_alias_answers_and_nothing_is_counted(bench: Bench) -> None:
    assert run(bench.many(5)) == {1: 5}
    assert bench.counted == []


@pytest.mark.parametrize("reference", ["mood@1", "mood@2", "mood@old"])
def test_only_the_alias_that_rolls_out_is_split(bench: Bench, reference: str) -> None:
    bench.store.set_alias("mood", "old", 1)
    bench.start(canary=2, weight=99)
    assert run(bench.many(20, reference)) == {2 if reference == "mood@2" else 1: 20}
    assert bench.counted == []


def test_an_alias_is_split_by_its_own_name_too(bench: Bench) -> None:
    bench.start(canary=2, weight=99)
    assert run(bench.many(20, "mood@live"))[2] >= 19


def test_a_model_without_aliases_answers_by_its_newest_version(bench: Bench) -> None:
    bench.store.remove_alias("mood", "live")
    assert run(bench.answered()) == 3


def test_an_unknown_name_is_the_registrys_error(bench: Bench) -> None:
    with pytest.raises(ModelNotFound) as caught:
        run(bench.answered("moood"))
    assert caught.value.suggestions == ("mood",)


def test_a_key_always_gets_the_same_version_and_keeps_the_canary_when_the_weight_grows(bench: Bench) -> None:
    keys = [f"user-{number}" for number in range(300)]

    async def ask() -> dict[str, int]:
        return {key: await bench.answered(key=key) for key in keys}

    bench.start(canary=2, weight=20)
    first = run(ask())
    assert run(ask()) == first
    bench.start(canary=2, weight=60)
    second = run(ask())
    chosen, more = {key for key in keys if first[key] == 2}, {key for key in keys if second[key] == 2}
    assert chosen < more
    assert 40 <= len(chosen) <= 80 and 150 <= len(more) <= 210


# ---- faults


def test_where_the_canary_fails_the_stable_version_answers_and_the_failure_is_counted(bench: Bench) -> None:
    bench.start(canary=2, weight=99, rule=Rule(automatic=False))
    bench.faults[2] = ArtifactCorrupt("It cannot be loaded.")
    assert run(bench.many(20)) == {1: 20}
    assert sides(bench) == {("canary", True): 20, ("stable", False): 20}


def test_a_fault_that_nobody_foresaw_is_the_canarys_too(bench: Bench) -> None:
    bench.start(canary=2, weight=99)
    bench.faults[2] = RuntimeError("a fault of ours")
    assert run(bench.answered()) == 1
    assert sides(bench)[("canary", True)] == 1


def test_a_canary_that_was_deleted_meanwhile_is_answered_for(bench: Bench) -> None:
    bench.start(canary=2, weight=99)
    bench.faults[2] = ModelNotFound("mood has no version 2.")
    assert run(bench.answered()) == 1


@pytest.mark.parametrize(
    "error", [InvalidInput("Too odd."), Unavailable("The server is full.", code="overloaded")], ids=["input", "full"]
)
def test_what_is_no_fault_of_a_version_is_raised_and_not_counted(bench: Bench, error: ZooError) -> None:
    bench.start(canary=2, weight=50)
    bench.faults = {1: error, 2: error}

    async def ask() -> None:
        for _ in range(20):
            with pytest.raises(type(error)):
                await bench.answered()

    run(ask())
    assert bench.counted == []
    assert bench.live.running.canary == 2


def test_a_canary_that_refuses_what_the_stable_version_takes_has_failed(bench: Bench) -> None:
    bench.start(canary=2, weight=99)
    bench.faults[2] = InvalidInput("Too long for this version.")
    assert run(bench.answered()) == 1
    assert sides(bench) == {("canary", True): 1, ("stable", False): 1}


def test_a_canary_that_is_not_in_time_is_told_and_its_time_is_counted(bench: Bench) -> None:
    bench.start(canary=2, weight=99)
    bench.faults[2] = DeadlineExceeded("There was no answer within the time that was given.")
    with pytest.raises(DeadlineExceeded):
        run(bench.answered())
    assert sides(bench) == {("canary", False): 1}


def test_a_full_server_is_not_asked_twice(bench: Bench) -> None:
    bench.start(canary=2, weight=99)
    bench.faults[2] = Unavailable("The server is full.", code="overloaded")
    with pytest.raises(Unavailable):
        run(bench.answered())
    assert bench.asked == [2]


def test_a_caller_who_leaves_counts_for_nobody(bench: Bench) -> None:
    bench.start(canary=2, weight=99)

    async def ask() -> None:
        bench.gates[2] = asyncio.Event()
        asked = asyncio.create_task(bench.answered())
        await bench.begun.wait()
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked

    run(ask())
    assert bench.counted == []


# ---- the rule


def test_a_canary_that_fails_is_rolled_back_for_all_processes_and_the_reason_is_kept(bench: Bench) -> None:
    bench.start(canary=2, weight=50)
    bench.faults[2] = RuntimeError("a fault of ours")

    async def ask() -> Counter[int]:
        answered = await bench.many(100)
        await bench.rollouts.settled()
        return answered

    assert run(ask()) == {1: 100}
    assert bench.asked.count(2) == 3
    last = bench.live.last
    assert bench.live.rollout is None and last is not None
    assert (last.outcome, last.by, last.stable, last.rollout.canary) == ("rolled_back", "rule", 1, 2)
    assert last.reason.startswith("Version 2, the canary, failed 3 of 3 requests")
    assert (last.figures["canary"]["requests"], last.figures["canary"]["errors"]) == (3, 3)
    assert bench.rolled_back == ["mood"]


def test_a_rule_that_is_not_automatic_only_says_what_it_would_do(bench: Bench) -> None:
    bench.start(canary=2, weight=50, rule=Rule(automatic=False))
    bench.faults[2] = RuntimeError("a fault of ours")
    run(bench.many(100))
    rollout = bench.live.running
    verdict = bench.rollouts.tally("mood", "live", rollout).verdict(rollout)
    assert verdict is not None and "failed 50 of 50" in verdict
    assert bench.rolled_back == []


def test_a_roll_back_that_cannot_be_written_holds_here_and_is_written_by_a_later_request(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.start(canary=2, weight=50)
    bench.faults[2] = RuntimeError("a fault of ours")

    def full(*_: object) -> Alias:
        raise Unavailable("The disk is full.", code="storage_full")

    async def ask() -> Counter[int]:
        with monkeypatch.context() as patch:
            patch.setattr(bench.store, "change_alias", full)
            await bench.many(10)
            await bench.rollouts.settled()
        assert bench.live.running.canary == 2
        del bench.faults[2]
        answered = await bench.many(20)
        await bench.rollouts.settled()
        return answered

    assert run(ask()) == {1: 20}
    assert bench.live.rollout is None
    assert bench.rolled_back == ["mood"]


def test_a_rollout_begun_after_a_roll_back_counts_from_nothing(bench: Bench) -> None:
    bench.start(canary=2, weight=50)
    bench.faults[2] = RuntimeError("a fault of ours")

    async def ask() -> Counter[int]:
        await bench.many(10)
        await bench.rollouts.settled()
        del bench.faults[2]
        bench.start(canary=2, weight=50)
        return await bench.many(10)

    assert run(ask())[2] == 5
