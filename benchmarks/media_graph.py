"""A picture's or sound's graph as bare as can be: the zoo's own decoding, then `session.run`, no queue and no HTTP."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import onnxruntime as ort

from benchmarks.engine_oracle import SPIN
from benchmarks.service import MEDIA_HOME
from zoo.catalogue.store import Store
from zoo.engine.predictor import MODEL_FILE
from zoo.tasks.task import Task, load_task


@dataclass(frozen=True)
class Prepared:
    """A decoded item; its length is its cost (positions, pixels)."""

    encoded: Any

    def __len__(self) -> int:
        return int(self.encoded.cost)


class MediaGraph:
    """The newest version of a model in the home of sounds and pictures. Thread-safe."""

    def __init__(self, name: str, *, threads: int, spinning: bool = False) -> None:
        store = Store(MEDIA_HOME)
        version = store.newest(name)
        assert version is not None, f"{name} is not in {MEDIA_HOME}"
        folder = store.folder(name, version)
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry(SPIN, str(int(spinning)))
        self._session = ort.InferenceSession(
            str(folder / MODEL_FILE),
            options,
            providers=["CPUExecutionProvider"],
            disabled_optimizers=["SkipLayerNormFusion"],
        )
        self._task: Task = load_task(store.entry(name, version), folder)
        self._options = self._task.parameters({})

    def encode(self, items: Sequence[bytes]) -> list[Prepared]:
        """Items decoded, resized or resampled as the service does it, in the calling thread."""
        return [Prepared(self._task.preprocess(item, self._options)) for item in items]

    def vectors(self, rows: Sequence[Prepared]) -> list[Any]:
        """The graph's answers to rows that run together."""
        encoded = [row.encoded for row in rows]
        return self._task.read(self._session.run(None, self._task.collate(encoded)), encoded)

    def answer(self, item: bytes) -> Any:
        """What the service answers to one item that is sent alone."""
        (row,) = self.encode([item])
        (found,) = self.vectors([row])
        return self._task.postprocess(found, row.encoded, self._options)


@dataclass(frozen=True)
class Way:
    """``workers`` runs at once with ``threads`` each; a run holds one item, or as many as ``budget`` has room for."""

    workers: int
    threads: int
    budget: int
    spinning: bool = False

    def __str__(self) -> str:
        spinning = ", spinning" if self.spinning else ""
        return f"{self.workers} x {self.threads} threads{spinning}, at most {self.budget:,} in a run"


class RawLoop:
    """Everything known beforehand: decoded on all cores, sorted by cost, run in the fastest of many ways.

    ``budgets``: costs of a run, padding counted. Which way is the fastest is found with ``sample``.
    """

    def __init__(self, name: str, *, budgets: Iterable[int], sample: Sequence[bytes]) -> None:
        self._cores = len(os.sched_getaffinity(0))
        kinds = dict.fromkeys(((1, False), (self._cores, False), (self._cores, True)))
        self._graphs = {kind: MediaGraph(name, threads=kind[0], spinning=kind[1]) for kind in kinds}
        pairs = itertools.product(kinds, budgets)
        ways = [Way(self._cores // threads, threads, budget, spinning) for (threads, spinning), budget in pairs]
        for way in ways:
            self.seconds(sample[:2], way)  # memory is laid out
        spent = {way: self.seconds(sample, way) for way in ways}
        self.way = min(spent, key=lambda way: spent[way])
        for kind in set(self._graphs) - {(1, False), (self.way.threads, self.way.spinning)}:
            del self._graphs[kind]

    def seconds(self, items: Sequence[bytes], way: Way | None = None) -> float:
        """How long these items take, decoding included."""
        way = way or self.way
        graph = self._graphs[way.threads, way.spinning]
        began = time.perf_counter()
        with ThreadPoolExecutor(self._cores) as pool:
            rows = [row for (row,) in pool.map(lambda item: graph.encode([item]), items)]
        work = _batches(rows, way.budget)
        _drained(graph.vectors, work, way.workers)
        return time.perf_counter() - began

    def answer(self, item: bytes) -> Any:
        """What is right."""
        return self._graphs[1, False].answer(item)


def _batches(rows: Sequence[Prepared], budget: int) -> list[list[Prepared]]:
    """Rows of like cost together, the costliest first."""
    made: list[list[Prepared]] = []
    for row in sorted(rows, key=len):
        if made and len(row) * (len(made[-1]) + 1) <= budget:
            made[-1].append(row)
        else:
            made.append([row])
    return made[::-1]


def _drained(run: Callable[[list[Prepared]], object], work: list[list[Prepared]], workers: int) -> None:
    coming, lock = iter(work), threading.Lock()

    def drain(_: int) -> None:
        while True:
            with lock:
                batch = next(coming, None)
            if batch is None:
                return
            run(batch)

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(drain, range(workers)))
