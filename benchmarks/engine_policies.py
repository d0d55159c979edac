"""How others form batches, rebuilt on the same graph: no HTTP, the same workers and threads, the same items.

A closed load: as many items are outstanding as there are clients, and where one is answered the next arrives. It is
prepared (tokenised, decoded) as it arrives, by the worker that gave the answer before it.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence, Sized
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np


class Raw(Protocol):
    """A graph and what prepares its items, with nothing in between. Thread-safe."""

    def encode(self, items: Sequence[Any], /) -> Sequence[Sized]:
        """Items as ``vectors`` takes them; the length of one is its cost (tokens, positions)."""

    def vectors(self, rows: Sequence[Any], /) -> Sequence[Any]:
        """One answer each of rows that run together, padded to the longest."""


@dataclass
class Row:
    """An item that waits, and what the graph is given of it. ``arrived`` in seconds of ``time.perf_counter``."""

    item: Sized
    encoded: Sized
    arrived: float


Batches = list[list[Row]]
Cut = Callable[[deque[Row]], Batches]


@dataclass(frozen=True)
class Policy:
    """``cut`` removes rows from the front of a queue that is not empty and gives them in batches.

    It is called once ``full`` rows wait or the first has waited for ``patience`` seconds.
    """

    name: str
    cut: Cut
    full: int = 1
    patience: float = 0.0


@dataclass
class Trial:
    """What a policy did: seconds for all items, latencies in seconds, tokens with and without padding."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    tokens: int = 0
    padded: int = 0

    @property
    def waste(self) -> float:
        """Share of the computed tokens that were padding."""
        return 1 - self.tokens / self.padded


def by_count(rows: int) -> Cut:
    """As they came, that many at most: what LitServe, MLServer, BentoML and Triton's dynamic batcher do."""

    def cut(queue: deque[Row]) -> Batches:
        return [[queue.popleft() for _ in range(min(rows, len(queue)))]]

    return cut


def by_tokens(budget: int) -> Cut:
    """As they came, while the padded tokens fit: text-embeddings-inference (core/src/queue.rs, padded models)."""

    def cut(queue: deque[Row]) -> Batches:
        batch = [queue.popleft()]
        longest = len(batch[0].encoded)
        while queue and max(longest, len(queue[0].encoded)) * (len(batch) + 1) <= budget:
            batch.append(queue.popleft())
            longest = max(longest, len(batch[-1].encoded))
        return [batch]

    return cut


def by_characters(rows: int, most: int = 32) -> Cut:
    """Where several batches wait, up to ``most`` of them sorted by characters: infinity (inference/queue.py)."""

    def cut(queue: deque[Row]) -> Batches:
        count = min(most, max(1, len(queue) // rows))
        taken = [queue.popleft() for _ in range(min(count * rows, len(queue)))]
        if count > 1:
            taken.sort(key=lambda row: len(row.item))
        return [taken[start : start + rows] for start in range(0, len(taken), rows)]

    return cut


RIVALS = (
    Policy("FIFO, 32 rows, 5 ms", by_count(32), full=32, patience=0.005),
    Policy("FIFO, 4 rows, no timer", by_count(4)),
    Policy("FIFO, 16,384 tokens", by_tokens(16_384)),
    Policy("FIFO, 512 tokens", by_tokens(512)),
    Policy("characters, 32 rows", by_characters(32)),
    Policy("characters, 4 rows", by_characters(4)),
    Policy("every item alone", by_count(1)),
)


class Stage:
    """Policies on one graph, in a process of its own with as many workers as cores, of one thread each.

    ``make`` is called there; ``warm`` is an item.
    """

    def __init__(self, make: Callable[[], Raw], *, warm: Sized) -> None:
        self._pool = ProcessPoolExecutor(
            1, mp_context=multiprocessing.get_context("spawn"), initializer=_load, initargs=(make, warm)
        )

    def play(self, policy: str, items: Sequence[Any], *, clients: int) -> Trial:
        """One of ``RIVALS``, by name."""
        return self._pool.submit(_play, policy, items, clients).result()

    def close(self) -> None:
        """End the process."""
        self._pool.shutdown()


_graphs: list[Raw] = []  # of the stage's process; the pool calls plain functions


def _load(make: Callable[[], Raw], warm: Sized) -> None:
    graph = make()
    graph.vectors(graph.encode([warm]))
    _graphs.append(graph)


def _play(policy: str, items: Sequence[Any], clients: int) -> Trial:
    chosen = next(one for one in RIVALS if one.name == policy)
    return Backlog(_graphs[0], chosen, items, clients).run(len(os.sched_getaffinity(0)))


class Backlog:
    """The items of one trial, on their way from arrival to answer."""

    def __init__(self, graph: Raw, policy: Policy, items: Sequence[Any], clients: int) -> None:
        self._graph = graph
        self._policy = policy
        self._coming = deque(items)
        self._queue: deque[Row] = deque()
        self._ready: deque[list[Row]] = deque()
        self._left = len(items)
        self._changed = threading.Condition()
        self._clients = clients
        self.trial = Trial()

    def run(self, workers: int) -> Trial:
        """Answer all items."""
        began = time.perf_counter()
        self._arrive(self._clients)
        threads = [threading.Thread(target=self._work) for _ in range(workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.trial.seconds = time.perf_counter() - began
        return self.trial

    def _arrive(self, count: int) -> None:
        with self._changed:
            items = [self._coming.popleft() for _ in range(min(count, len(self._coming)))]
        if items:
            now = time.perf_counter()
            rows = [Row(item, encoded, now) for item, encoded in zip(items, self._graph.encode(items), strict=True)]
            with self._changed:
                self._queue.extend(rows)
                self._changed.notify_all()

    def _work(self) -> None:
        while (batch := self._take()) is not None:
            self._graph.vectors([row.encoded for row in batch])
            now = time.perf_counter()
            with self._changed:
                self._left -= len(batch)
                self.trial.latencies += [now - row.arrived for row in batch]
                self.trial.tokens += sum(len(row.encoded) for row in batch)
                self.trial.padded += len(batch) * max(len(row.encoded) for row in batch)
                self._changed.notify_all()
            self._arrive(len(batch))

    def _take(self) -> list[Row] | None:
        """The next batch as the policy has it; None when all are answered."""
        with self._changed:
            while True:
                if self._ready:
                    return self._ready.popleft()
                if self._left <= 0:
                    return None
                wait = self._wait()
                if wait == 0:
                    self._ready.extend(self._policy.cut(self._queue))
                else:
                    self._changed.wait(wait)

    def _wait(self) -> float | None:
        """Seconds until the policy cuts; None while nothing is there."""
        if not self._queue:
            return None
        if len(self._queue) >= self._policy.full:
            return 0
        return max(0.0, self._queue[0].arrived + self._policy.patience - time.perf_counter())


def percentile(trial: Trial, percent: float) -> float:
    """Of the latencies, in milliseconds."""
    return float(np.percentile(trial.latencies, percent)) * 1000
