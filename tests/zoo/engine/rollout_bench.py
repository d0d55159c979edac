"""Versions that roll out, without a model: who was asked, what was counted, and faults and gates to order."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

from tests.tiny_signatures import publish_signature
from zoo.catalogue.alias import Alias
from zoo.catalogue.plan import Plan, start
from zoo.catalogue.registry import Registry
from zoo.catalogue.rollout import Rule
from zoo.catalogue.store import Store
from zoo.engine.loader import Loader
from zoo.engine.predictor import Prediction
from zoo.engine.rollouts import Rollouts
from zoo.engine.tally import Counted
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


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


def sides(bench: Bench) -> Counter[tuple[str, bool]]:
    return Counter((one.side, one.failed) for one in bench.counted)
