"""Requests and streams under way while an alias moves: each keeps its version to the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest

from tests.zoo.engine.rollout_bench import Bench, run, sides
from zoo.catalogue.rollout import Rule
from zoo.engine.predictor import Prediction
from zoo.errors import InvalidInput

# ---- a switch under way


def moves(bench: Bench) -> list[Callable[[], object]]:
    return [
        lambda: bench.store.set_alias("mood", "live", 2),
        lambda: bench.rollouts.promote("mood", "live"),
        lambda: bench.rollouts.roll_back("mood", "live"),
    ]


@pytest.mark.parametrize("move", range(3), ids=["set", "promote", "roll back"])
@pytest.mark.parametrize("chosen", [1, 2])
def test_a_request_keeps_its_version_whatever_becomes_of_the_alias(bench: Bench, move: int, chosen: int) -> None:
    bench.start(canary=2, weight=99 if chosen == 2 else 1)

    async def ask() -> int:
        bench.gates = {1: asyncio.Event(), 2: asyncio.Event()}
        asked = asyncio.create_task(bench.answered())
        await bench.begun.wait()
        await asyncio.to_thread(moves(bench)[move])
        bench.gates[chosen].set()
        return await asked

    assert run(ask()) == chosen
    assert bench.asked == [chosen]


def test_a_stream_keeps_its_version_to_the_end(bench: Bench) -> None:
    async def ask() -> list[int]:
        versions = []
        async for bit in bench.rollouts.relay("mood", bench.write):
            versions.append(bit.entry.version)
            bench.store.set_alias("mood", "live", 2)
        return versions

    assert run(ask()) == [1, 1, 1]


def test_requests_follow_a_promotion_at_once(bench: Bench) -> None:
    bench.start(canary=2, weight=1)
    bench.rollouts.promote("mood", "live")
    assert run(bench.many(5)) == {2: 5}


# ---- bit by bit


def relayed(bench: Bench, sound: BytesIO, reference: str = "mood", **further: Any) -> list[int]:
    async def ask() -> list[int]:
        bits = bench.rollouts.relay(reference, bench.write, done=sound.close, **further)
        return [bit.entry.version async for bit in bits]

    versions: list[int] = run(ask())
    return versions


def test_a_stream_is_counted_once_for_the_side_that_gave_it(bench: Bench) -> None:
    bench.start(canary=2, weight=99)
    sound = BytesIO()
    assert relayed(bench, sound) == [2, 2, 2]
    assert sides(bench) == {("canary", False): 1}


def test_a_canary_that_cannot_be_loaded_is_passed_over_before_the_stream_begins(bench: Bench) -> None:
    bench.start(canary=3, weight=99)
    assert relayed(bench, BytesIO()) == [1, 1, 1]
    assert sides(bench) == {("canary", True): 1, ("stable", False): 1}


def test_a_stream_that_breaks_is_the_fault_of_its_version(bench: Bench) -> None:
    bench.start(canary=2, weight=99)
    bench.faults[2] = RuntimeError("a fault of ours")
    with pytest.raises(RuntimeError):
        relayed(bench, BytesIO())
    assert sides(bench) == {("canary", True): 1}


def test_an_input_is_handed_back_when_the_stream_has_ended(bench: Bench) -> None:
    sound, ended = BytesIO(), []

    async def ask() -> None:
        async for _ in bench.rollouts.relay("mood", bench.write, done=sound.close):
            ended.append(sound.closed)

    run(ask())
    assert ended == [False, False, False]
    assert sound.closed


def test_an_input_that_nobody_was_asked_with_is_handed_back(bench: Bench) -> None:
    sound = BytesIO()
    with pytest.raises(InvalidInput):
        relayed(bench, sound, "NO NAME")
    assert sound.closed


def whole(bits: Sequence[Prediction]) -> Prediction:
    return replace(bits[-1], body=[bit.body for bit in bits])


def mirrored(bench: Bench, sound: BytesIO) -> None:
    async def ask() -> None:
        async for _ in bench.rollouts.relay("mood", bench.write, whole=whole, done=sound.close):
            pass
        assert not sound.closed
        await bench.rollouts.settled()

    run(ask())


def test_a_stream_is_mirrored_as_a_whole_and_its_input_handed_back_after_that(bench: Bench) -> None:
    bench.start(shadow=2)
    bench.bodies, sound = {1: "good", 2: "good"}, BytesIO()
    mirrored(bench, sound)
    assert bench.asked == [1, 1, 1, 2, 2, 2]
    assert [(one.side, one.agreed) for one in bench.counted] == [("stable", None), ("shadow", 1.0)]
    assert sound.closed


def test_the_input_of_a_copy_that_fails_is_handed_back_too(bench: Bench) -> None:
    bench.start(shadow=2, rule=Rule(automatic=False))
    bench.faults[2], sound = RuntimeError("a fault of ours"), BytesIO()
    mirrored(bench, sound)
    assert sides(bench) == {("stable", False): 1, ("shadow", True): 1}
    assert sound.closed


def test_the_input_of_a_copy_that_is_dropped_is_handed_back_too(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.start(shadow=2)
    monkeypatch.setattr("zoo.engine.mirror.PENDING", 0)
    sound = BytesIO()
    assert relayed(bench, sound, whole=whole) == [1, 1, 1]
    assert sound.closed and bench.asked == [1, 1, 1]


def test_a_stream_that_cannot_be_compared_is_not_mirrored(bench: Bench) -> None:
    bench.start(shadow=2)
    assert relayed(bench, BytesIO()) == [1, 1, 1]
    assert bench.asked == [1, 1, 1]
