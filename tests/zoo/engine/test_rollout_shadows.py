"""What a version in the shadow is sent, what becomes of its answers, and that nobody waits for it."""

from __future__ import annotations

import asyncio

import pytest

from tests.zoo.engine.rollout_bench import Bench, run, sides
from zoo.catalogue.rollout import Rule
from zoo.errors import InvalidInput


def test_what_the_stable_version_answers_is_mirrored_and_compared(bench: Bench) -> None:
    bench.start(shadow=2)
    bench.bodies[2] = [[{"label": "bad", "score": 1.0}]]

    async def ask() -> None:
        assert await bench.answered() == 1
        await bench.rollouts.settled()
        del bench.bodies[2]
        assert await bench.answered() == 1
        await bench.rollouts.settled()

    run(ask())
    assert bench.asked == [1, 2, 1, 2]
    assert [one.agreed for one in bench.counted if one.side == "shadow"] == [0.0, 1.0]
    figures = bench.rollouts.tally("mood", "live", bench.live.running).figures()["shadow"]
    assert (figures["requests"], figures["compared"], figures["agreement"]) == (2, 2, 0.5)


def test_what_the_canary_answers_is_not_mirrored(bench: Bench) -> None:
    bench.start(canary=2, weight=99, shadow=2)

    async def ask() -> None:
        assert await bench.answered() == 2
        await bench.rollouts.settled()

    run(ask())
    assert bench.asked == [2]


def test_a_shadow_that_hangs_or_fails_is_never_noticed(bench: Bench) -> None:
    bench.start(shadow=2, rule=Rule(automatic=False))

    async def ask() -> None:
        bench.gates[2] = asyncio.Event()
        assert await bench.many(3) == {1: 3}
        bench.faults[2] = RuntimeError("a fault of ours")
        bench.gates[2].set()
        await bench.rollouts.settled()

    run(ask())
    assert sides(bench) == {("stable", False): 3, ("shadow", True): 3}


def test_a_shadow_that_refuses_what_the_stable_version_took_does_not_agree(bench: Bench) -> None:
    bench.start(shadow=2)
    bench.faults[2] = InvalidInput("Too long.")

    async def ask() -> None:
        await bench.answered()
        await bench.rollouts.settled()

    run(ask())
    assert [(one.failed, one.agreed) for one in bench.counted if one.side == "shadow"] == [(False, 0.0)]


def test_a_shadow_that_differs_is_given_up(bench: Bench) -> None:
    bench.start(shadow=2, rule=Rule(min_requests=10))
    bench.bodies[2] = [[{"label": "bad", "score": 1.0}]]

    async def ask() -> None:
        for _ in range(10):
            await bench.answered()
            await bench.rollouts.settled()

    run(ask())
    last = bench.live.last
    assert last is not None and last.reason.startswith("Version 2, the shadow, agrees with the stable version in 0.0 %")
    assert bench.asked.count(2) == 3


def test_of_more_than_may_wait_the_rest_is_not_mirrored(bench: Bench) -> None:
    bench.start(shadow=2)

    async def ask() -> None:
        bench.gates[2] = asyncio.Event()
        await bench.answered()
        await bench.begun.wait()
        await bench.many(12)
        assert len(bench.dropped) == 4
        bench.gates[2].set()
        await bench.rollouts.settled()

    run(ask())
    assert bench.asked.count(2) == 9


def test_a_full_server_mirrors_nothing(bench: Bench) -> None:
    bench.start(shadow=2)
    bench.loader.clients = 2
    run(bench.many(3))
    assert bench.asked == [1, 1, 1]
    assert bench.dropped == ["mood"] * 3


@pytest.mark.parametrize("reference", ["mood", "mood@1"])
def test_what_is_mirrored_gives_up_its_place_when_the_server_fills(bench: Bench, reference: str) -> None:
    bench.start(shadow=2)

    async def ask() -> None:
        bench.gates[2] = asyncio.Event()
        await bench.many(2)
        await bench.begun.wait()
        bench.loader.clients = 3  # with the copy that runs
        assert await bench.answered(reference) == 1
        assert bench.cancelled == 1
        await bench.rollouts.settled()

    run(ask())
    assert bench.asked.count(2) == 1
    assert len(bench.dropped) >= 2


def test_closing_gives_up_what_is_mirrored(bench: Bench) -> None:
    bench.start(shadow=2)

    async def ask() -> None:
        bench.gates[2] = asyncio.Event()
        await bench.many(3)
        await bench.begun.wait()
        await bench.rollouts.close()

    run(ask())
    assert (bench.cancelled, len(bench.dropped)) == (1, 3)
