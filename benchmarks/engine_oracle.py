"""What ONNX Runtime reaches on a graph without any server: texts known beforehand, sorted by length, no HTTP.

Runs in a process of its own. The best of all ways to spend the cores (runs at once x threads of a run) and of several
budgets of tokens is found on a sample first; that one is the oracle.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import queue
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from benchmarks.engine_texts import plain_tokenizer

Ids = list[int]
Vector = NDArray[np.float32]
BUDGETS = (256, 512)  # where the best lay on every machine tried; a sample for more would have to be longer
SPIN = "session.intra_op.allow_spinning"


@dataclass(frozen=True)
class Setting:
    """``workers`` runs at once on one session whose runs have ``threads``; a batch holds ``budget`` padded tokens."""

    workers: int
    threads: int
    budget: int

    def __str__(self) -> str:
        return f"{self.workers} x {self.threads} threads, {self.budget} tokens"


@dataclass(frozen=True)
class Ceiling:
    """Seconds that the oracle needs for a list of texts, without and with the time for tokenising."""

    run: float
    whole: float


@dataclass(frozen=True)
class Lone:
    """Milliseconds of runs of one text after the other, with all cores."""

    p50: float
    p99: float


class Graph:
    """A text encoder's graph and tokenizer, as bare as can be. Thread-safe."""

    def __init__(self, folder: Path, *, threads: int, limit: int, spinning: bool = False) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry(SPIN, str(int(spinning)))
        path = str(folder / "model.onnx")
        self._session = ort.InferenceSession(
            path, options, providers=["CPUExecutionProvider"], disabled_optimizers=["SkipLayerNormFusion"]
        )
        self._inputs = [node.name for node in self._session.get_inputs()]
        self._tokenizer = plain_tokenizer(folder / "tokenizer.json")
        self._tokenizer.enable_truncation(limit)

    def encode(self, texts: Sequence[str]) -> list[Ids]:
        """Token ids of each text, all cores at once."""
        return [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]

    def vectors(self, rows: Sequence[Ids]) -> list[Vector]:
        """Mean-pooled vectors of length one, of rows padded to the longest."""
        ids = np.zeros((len(rows), max(map(len, rows))), dtype=np.int64)
        mask = np.zeros_like(ids)
        for place, row in enumerate(rows):
            ids[place, : len(row)] = row
            mask[place, : len(row)] = 1
        known = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        (hidden,) = self._session.run(None, {name: known[name] for name in self._inputs})
        weights = mask[:, :, None].astype(np.float32)
        pooled = (hidden * weights).sum(axis=1) / weights.sum(axis=1)
        return list(pooled / np.linalg.norm(pooled, axis=1, keepdims=True))


def batches(rows: Sequence[Ids], budget: int) -> list[list[Ids]]:
    """Rows of like length together, longest batches first, so that no worker is left with a long one at the end."""
    made: list[list[Ids]] = []
    for row in sorted(rows, key=len):
        if made and len(row) * (len(made[-1]) + 1) <= budget:
            made[-1].append(row)
        else:
            made.append([row])
    return made[::-1]


def run_all(graph: Graph, work: Sequence[list[Ids]], workers: int) -> None:
    """All batches, by that many threads."""
    waiting: queue.SimpleQueue[list[Ids]] = queue.SimpleQueue()
    for batch in work:
        waiting.put(batch)

    def drain() -> None:
        while True:
            try:
                graph.vectors(waiting.get_nowait())
            except queue.Empty:
                return

    threads = [threading.Thread(target=drain) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


class Oracle:
    """The oracle for the texts of one model, in its own process, with the setting that suits a sample best."""

    def __init__(self, folder: Path, *, limit: int, sample: Sequence[str]) -> None:
        self._pool = ProcessPoolExecutor(
            1, mp_context=multiprocessing.get_context("spawn"), initializer=_load, initargs=(folder, limit)
        )
        self.setting: Setting = self._pool.submit(_best, sample).result()

    def ceiling(self, texts: Sequence[str]) -> Ceiling:
        """Time for these texts."""
        return self._pool.submit(_ceiling, texts, self.setting).result()

    def lone(self, texts: Sequence[str]) -> Lone:
        """Texts one by one, tokenising not counted, in the faster of the ways that use all cores."""
        return self._pool.submit(_lone, texts).result()

    def vectors(self, texts: Sequence[str]) -> list[Vector]:
        """Right answers, each text run alone."""
        return self._pool.submit(_vectors, texts).result()

    def close(self) -> None:
        """End the process."""
        self._pool.shutdown()


_loaded: dict[str, Any] = {}  # of the oracle's process; the pool calls plain functions


def _load(folder: Path, limit: int) -> None:
    cores = len(os.sched_getaffinity(0))
    _loaded["cores"] = cores
    for threads in {1, cores}:
        _loaded[f"graph {threads}"] = Graph(folder, threads=threads, limit=limit)
    _loaded["spinning"] = Graph(folder, threads=cores, limit=limit, spinning=True)


def _graph(threads: int) -> Graph:
    graph: Graph = _loaded[f"graph {threads}"]
    return graph


def _best(sample: Sequence[str]) -> Setting:
    cores: int = _loaded["cores"]
    ways = {(cores, 1), (1, cores)}
    settings = [Setting(workers, threads, budget) for (workers, threads), budget in itertools.product(ways, BUDGETS)]
    spent = {setting: _ceiling(sample[:16], setting).run for setting in settings}  # memory is laid out
    for round_ in range(2):
        for setting in settings:
            run = _ceiling(sample, setting).run
            spent[setting] = run if round_ == 0 else min(run, spent[setting])
    return min(spent, key=lambda setting: spent[setting])


def _ceiling(texts: Sequence[str], setting: Setting) -> Ceiling:
    graph = _graph(setting.threads)
    began = time.perf_counter()
    work = batches(graph.encode(texts), setting.budget)
    encoded = time.perf_counter()
    run_all(graph, work, setting.workers)
    ended = time.perf_counter()
    return Ceiling(run=ended - encoded, whole=ended - began)


def _lone(texts: Sequence[str]) -> Lone:
    found = []
    for graph in (_graph(_loaded["cores"]), _loaded["spinning"]):
        spent = []
        for row in graph.encode(texts):
            began = time.perf_counter()
            graph.vectors([row])
            spent.append((time.perf_counter() - began) * 1000)
        found.append(Lone(float(np.percentile(spent, 50)), float(np.percentile(spent, 99))))
    return min(found, key=lambda lone: lone.p50)


def _vectors(texts: Sequence[str]) -> list[Vector]:
    graph = _graph(1)
    return [graph.vectors([row])[0] for row in graph.encode(texts)]
