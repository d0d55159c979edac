"""How others form batches, rebuilt on the same graph: no HTTP, the same workers and threads, the same texts.

A closed load: as many texts are outstanding as there are clients, and where one is answered the next arrives. A text is
tokenised by the worker that takes it where the policy does not need its tokens, else when it arrives.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.engine_oracle import Graph, Ids


@dataclass
class Row:
    """A text that waits. ``arrived`` in seconds of ``time.perf_counter``."""

    text: str
    ids: Ids
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
    """What a policy did: seconds for all texts, latencies in seconds, tokens with and without padding."""

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
        longest = len(batch[0].ids)
        while queue and max(longest, len(queue[0].ids)) * (len(batch) + 1) <= budget:
            batch.append(queue.popleft())
            longest = max(longest, len(batch[-1].ids))
        return [batch]

    return cut


def by_characters(rows: int, most: int = 32) -> Cut:
    """Where several batches wait, up to ``most`` of them sorted by characters: infinity (inference/queue.py)."""

    def cut(queue: deque[Row]) -> Batches:
        count = min(most, max(1, len(queue) // rows))
        taken = [queue.popleft() for _ in range(min(count * rows, len(queue)))]
        if count > 1:
            taken.sort(key=lambda row: len(row.text))
        return [taken[start : start + rows] for start in range(0, len(taken), rows)]

    return cut


RIVALS = (
    Policy("FIFO, 32 rows, 5 ms", by_count(32), full=32, patience=0.005),
    Policy("FIFO, 4 rows, no timer", by_count(4)),
    Policy("FIFO, 16,384 tokens", by_tokens(16_384)),
    Policy("FIFO, 512 tokens", by_tokens(512)),
    Policy("characters, 32 rows", by_characters(32)),
    Policy("characters, 4 rows", by_characters(4)),
    Policy("every text alone", by_count(1)),
)


class Stage:
    """Policies on one graph, in a process of its own with as many workers as cores, of one thread each."""

    def __init__(self, folder: Path, *, limit: int) -> None:
        self._pool = ProcessPoolExecutor(
            1, mp_context=multiprocessing.get_context("spawn"), initializer=_load, initargs=(folder, limit)
        )

    def play(self, policy: str, texts: Sequence[str], *, clients: int) -> Trial:
        """One of ``RIVALS``, by name."""
        return self._pool.submit(_play, policy, texts, clients).result()

    def close(self) -> None:
        """End the process."""
        self._pool.shutdown()


_graphs: list[Graph] = []  # of the stage's process; the pool calls plain functions


def _load(folder: Path, limit: int) -> None:
    graph = Graph(folder, threads=1, limit=limit)
    graph.vectors(graph.encode(["warm"]))
    _graphs.append(graph)


def _play(policy: str, texts: Sequence[str], clients: int) -> Trial:
    chosen = next(one for one in RIVALS if one.name == policy)
    return Backlog(_graphs[0], chosen, texts, clients).run(len(os.sched_getaffinity(0)))


class Backlog:
    """The texts of one trial, on their way from arrival to answer."""

    def __init__(self, graph: Graph, policy: Policy, texts: Sequence[str], clients: int) -> None:
        self._graph = graph
        self._policy = policy
        self._coming = deque(texts)
        self._queue: deque[Row] = deque()
        self._ready: deque[list[Row]] = deque()
        self._left = len(texts)
        self._changed = threading.Condition()
        self._clients = clients
        self.trial = Trial()

    def run(self, workers: int) -> Trial:
        """Answer all texts."""
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
            texts = [self._coming.popleft() for _ in range(min(count, len(self._coming)))]
        if texts:
            now = time.perf_counter()
            rows = [Row(text, ids, now) for text, ids in zip(texts, self._graph.encode(texts), strict=True)]
            with self._changed:
                self._queue.extend(rows)
                self._changed.notify_all()

    def _work(self) -> None:
        while (batch := self._take()) is not None:
            self._graph.vectors([row.ids for row in batch])
            now = time.perf_counter()
            with self._changed:
                self._left -= len(batch)
                self.trial.latencies += [now - row.arrived for row in batch]
                self.trial.tokens += sum(len(row.ids) for row in batch)
                self.trial.padded += len(batch) * max(len(row.ids) for row in batch)
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
