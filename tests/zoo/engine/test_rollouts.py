"""Requests on an alias that rolls out: who answers, what is mirrored, and the way back. No model is needed for that."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_signatures import publish_signature
from zoo.catalogue.alias import Alias
from zoo.catalogue.plan import Plan, start
from zoo.catalogue.registry import Registry
from zoo.catalogue.rollout import Rule
from zoo.catalogue.store import Store
from zoo.engine.loader import Loader
from zoo.engine.predictor import Prediction
from zoo.engine.rollouts import Counted, Rollouts
from zoo.errors import ArtifactCorrupt, InvalidInput, ModelNotFound, Unavailable, ZooError
from zoo.settings import Settings


class BusyLoader(Loader):
    """``clients`` requests are in work beside those that it knows of."""

    clients = 0

    def waiting(self) -> int:
        return self.clients + super().waiting()


class Bench:
    """Versions 1 to 3 of ``mood``, of which ``live`` means the first; answers name their version.

    ``faults``: what a version raises instead of answering. ``gates``: events that a version waits for before it
    answers, having set ``begun``.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.store = Store(home)
        for version in (1, 2, 3):
            publish_signature(self.store, "mood", ("good", "bad"), whole=version != 3)
        self.store.set_alias("mood", "live", 1)
        self.registry = Registry(self.store, {})
        self.loader = BusyLoader(self.registry, self.store, Settings(_env_file=None, home=home, threads=1))
        self.rollouts = Rollouts(self.loader, self.store, observer=self)
        self.asked: list[int] = []
        self.faults: dict[int, Exception] = {}
        self.gates: dict[int, asyncio.Event] = {}
        self.begun = asyncio.Event()
        self.cancelled = 0
        self.bodies: dict[int, object] = {}
        self.counted: list[Counted] = []
        self.dropped: list[str] = []
        self.rolled_back: list[str] = []

    def count_rollout(self, counted: Counted) -> None:
        self.counted.append(counted)

    def count_dropped(self, model: str) -> None:
        self.dropped.append(model)

    def count_roll_back(self, model: str) -> None:
        self.rolled_back.append(model)

    async def ask(self, reference: str) -> Prediction:
        entry = self.registry.resolve(reference)
        self.asked.append(entry.version)
        if entry.version in self.gates:
            self.begun.set()
            try:
                await self.gates[entry.version].wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        if entry.version in self.faults:
            raise self.faults[entry.version]
        body = self.bodies.get(entry.version, [[{"label": "good", "score": 1.0}]])
        return Prediction(entry=entry, body=body, items=1)

    async def write(self, reference: str) -> AsyncIterator[Prediction]:
        for _ in range(3):
            yield await self.ask(reference)

    async def answered(self, reference: str = "mood", key: str | None = None) -> int:
        """The version that answers."""
        return (await self.rollouts.answer(reference, self.ask, key=key)).entry.version

    async def many(self, count: int, reference: str = "mood") -> Counter[int]:
        return Counter([await self.answered(reference) for _ in range(count)])

    def start(self, **plan: Any) -> None:
        """Begin a rollout; the rule leaves latency alone unless one is given, for these answers take no time."""
        start(self.store, "mood", "live", Plan(**{"rule": Rule(max_latency_ratio=1000), **plan}))

    @property
    def live(self) -> Alias:
        """As another process sees it."""
        return Store(self.home).alias_table("mood")["live"]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.loader.close()


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


def sides(bench: Bench) -> Counter[tuple[str, bool]]:
    return Counter((one.side, one.failed) for one in bench.counted)


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


# ---- the shadow


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


def relayed(bench: Bench, sound: BytesIO, reference: str = "mood") -> list[int]:
    async def ask() -> list[int]:
        bits = bench.rollouts.relay(reference, bench.write, unasked=sound.close)
        return [bit.entry.version async for bit in bits]

    versions: list[int] = run(ask())
    return versions


def test_a_stream_is_counted_once_for_the_side_that_gave_it(bench: Bench) -> None:
    bench.start(canary=2, weight=99)
    sound = BytesIO()
    assert relayed(bench, sound) == [2, 2, 2]
    assert sides(bench) == {("canary", False): 1}
    assert not sound.closed


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


def test_an_input_that_nobody_was_asked_with_is_handed_back(bench: Bench) -> None:
    sound = BytesIO()
    with pytest.raises(InvalidInput):
        relayed(bench, sound, "NO NAME")
    assert sound.closed
