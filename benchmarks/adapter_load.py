"""Rows of 64 adapters in one batch beside a batch for each adapter: what is saturated, and waiting times at 70 % load.

`python -m benchmarks.adapter_load [--home HOME] [--model minilm] [--adapters 64] [--rounds 3] [--seconds 20]`. Adapters
are random, of rank 8 on all layers with slots, texts random ids of 4 to 64 tokens (log-normal, mean 18), both drawn for
each row. All run by the same workers on the same session, without HTTP: "mixed" waits in one queue, "one batch per
adapter" in a queue for each, the nearest deadline first; "one adapter" is the mixed queue with rows of a single one.
Saturated: 64 rows wait at any time. Then rows come as they please (Poisson) at .7 of what the mixed queue answered just
before, to each in turn.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.mixed_adapters import RANK, random_adapter
from benchmarks.service import HOME, circumstances
from zoo.catalogue.registry import Registry, load_catalogue
from zoo.catalogue.slot_table import SlotTable
from zoo.catalogue.store import Store
from zoo.engine.adapter_slots import Slot
from zoo.engine.body import Body
from zoo.engine.rank_pool import slot_bytes
from zoo.engine.scheduler import Scheduler
from zoo.engine.session import Array
from zoo.engine.threads import granted_threads
from zoo.engine.workers import Workers

CLIENTS = 64
BUDGET = 4096  # tokens of a batch, as a text classifier has it
LOAD = 0.7
PATIENCE = 300.0  # seconds: nothing is refused, so that a policy that is too slow shows how slow
POLICIES = ("mixed", "one batch per adapter", "one adapter")


@dataclass(frozen=True, eq=False)
class Row:
    """A text and whose it is."""

    ids: Array
    slot: Slot

    @property
    def cost(self) -> int:
        """Tokens."""
        return len(self.ids)


@dataclass
class Played:
    """What became of some rows: latencies in seconds, how many shared a run, and seconds for all."""

    latencies: list[float] = field(default_factory=list)
    shared: list[int] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Rows a second."""
        return len(self.latencies) / self.seconds

    def percentile(self, percent: float) -> float:
        """Of the latencies, in milliseconds."""
        return 1000 * float(np.percentile(self.latencies, percent))


class Ground:
    """One body in memory, its adapters, and the queues of each policy."""

    def __init__(self, body: Body, slots: Sequence[Slot], workers: Workers) -> None:
        self._body, self._slots, self._workers = body, slots, workers
        self._draw = np.random.default_rng(0)
        self._run_sizes = threading.local()
        mixed = self._queue()
        own = {id(slot): self._queue() for slot in slots}
        self._queues: dict[str, Callable[[Row], Scheduler]] = {
            "mixed": lambda row: mixed,
            "one batch per adapter": lambda row: own[id(row.slot)],
            "one adapter": lambda row: mixed,
        }

    def _queue(self) -> Scheduler:
        row = Row(np.ones(16, dtype=np.int64), self._slots[0])
        return self._workers.queue(self._run, row, budget=BUDGET)[0]

    def _run(self, rows: Sequence[Row], whole: bool) -> list[Any]:
        shape = len(rows), max(row.cost for row in rows)
        ids, mask = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        for place, row in enumerate(rows):
            ids[place, : row.cost], mask[place, : row.cost] = row.ids, 1
        feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        return list(self._body.run(feeds, [row.slot for row in rows])[:, 0])

    def rows(self, policy: str, count: int) -> list[Row]:
        """Texts of the adapters that a policy is tried with."""
        slots = self._slots[:1] if policy == "one adapter" else self._slots
        lengths = np.clip(np.exp(self._draw.normal(2.7, 0.6, count)), 4, 64).astype(int)
        owners = self._draw.integers(0, len(slots), count)
        return [
            Row(self._draw.integers(1000, 20_000, length), slots[owner])
            for length, owner in zip(lengths, owners, strict=True)
        ]

    def saturated(self, policy: str, seconds: float) -> Played:
        """As many rows wait at any time as there are clients."""
        free = threading.Semaphore(CLIENTS)
        until = time.perf_counter() + seconds

        def coming() -> bool:
            return free.acquire(timeout=PATIENCE) and time.perf_counter() < until

        return self._play(policy, self.rows(policy, int(2000 * seconds)), lambda place: coming(), free.release)

    def opened(self, policy: str, seconds: float, rate: float) -> Played:
        """Rows come by themselves, so many a second."""
        rows = self.rows(policy, int(rate * seconds))
        times = time.perf_counter() + np.cumsum(self._draw.exponential(1 / rate, len(rows)))

        def coming(place: int) -> bool:
            time.sleep(max(0.0, times[place] - time.perf_counter()))
            return True

        return self._play(policy, rows, coming, lambda: None)

    def _play(
        self, policy: str, rows: Sequence[Row], coming: Callable[[int], bool], ended: Callable[[], None]
    ) -> Played:
        played, open_ = Played(), []
        began = time.perf_counter()
        for place, row in enumerate(rows):
            if not coming(place):
                break
            queue, submitted = self._queues[policy](row), time.perf_counter()
            ticket = queue.submit([row], deadline=time.monotonic() + PATIENCE)

            def done(_: object, submitted: float = submitted) -> None:
                played.latencies.append(time.perf_counter() - submitted)
                ended()

            ticket.future.add_done_callback(done)
            open_.append(ticket)
            self._workers.wake(queue)
        for ticket in open_:
            ticket.future.result()
        played.seconds = time.perf_counter() - began
        played.shared = [ticket.batches[0].rows for ticket in open_]
        return played


def told(name: str, played: Sequence[Played], base: Sequence[Played]) -> str:
    """A line: medians of the rounds, beside those of another policy in the same rounds."""
    columns = [f"{statistics.median(one.rate for one in played):.0f}"]
    columns.append(f"{statistics.median(statistics.fmean(one.shared) for one in played):.1f}")
    for percent in (50, 99):
        shown = statistics.median(one.percentile(percent) for one in played)
        ratio = statistics.median(
            one.percentile(percent) / other.percentile(percent) for one, other in zip(played, base, strict=True)
        )
        columns.append(f"{shown:.0f} ({ratio:.2f})")
    return f"| {name} | {' | '.join(columns)} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, default=HOME)
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--adapters", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20.0)
    asked = parser.parse_args()
    store = Store(asked.home)
    entry = Registry(store, load_catalogue()).resolve(asked.model)
    folder = store.folder(entry.name, entry.version)
    body = Body(folder, threads=1, budget=(asked.adapters + 1) * slot_bytes(SlotTable.read(folder), RANK))
    workers = Workers(granted_threads())
    saturated: dict[str, list[Played]] = {policy: [] for policy in POLICIES}
    opened: dict[str, list[Played]] = {policy: [] for policy in POLICIES}
    with contextlib.ExitStack() as held:
        load = [partial(random_adapter, body.slots.table, seed) for seed in range(asked.adapters)]
        slots = [held.enter_context(body.slots.hold(f"adapter {seed}", load[seed])) for seed in range(asked.adapters)]
        ground = Ground(body, slots, workers)
        ground.saturated("mixed", 3.0)
        for turn in range(asked.rounds):
            order = POLICIES[turn % len(POLICIES) :] + POLICIES[: turn % len(POLICIES)]
            for policy in order:
                saturated[policy].append(ground.saturated(policy, asked.seconds / 2))
            rate = LOAD * saturated["mixed"][-1].rate
            for policy in order:
                opened[policy].append(ground.opened(policy, asked.seconds, rate))
    workers.close()
    print(circumstances(), f"\n{asked.rounds} rounds, {asked.adapters} adapters; in brackets over one adapter's\n")
    for title, found in (("saturated, 64 rows wait", saturated), (f"at {LOAD} of mixed", opened)):
        print(f"| {title} | texts/s | rows a run | p50, ms | p99, ms |\n|---|---|---|---|---|")
        for policy in POLICIES:
            print(told(policy, found[policy], found["one adapter"]))
        ratio = [one.rate / other.rate for one, other in zip(found[POLICIES[0]], found[POLICIES[1]], strict=True)]
        print(f"\nmixed over one batch per adapter, texts/s: {statistics.median(ratio):.2f}\n")


if __name__ == "__main__":
    main()
