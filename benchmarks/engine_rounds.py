"""Interleaved rounds: in each, every contender meets the same texts right after the oracle has met them.

A round's figure is the quotient of the two, so that what else the machine does in that minute falls out of it.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.engine_load import Load, measure
from benchmarks.engine_model import Model
from benchmarks.engine_oracle import Oracle, Vector
from benchmarks.engine_servers import Server
from benchmarks.engine_texts import CHECKED, LONG_MODEL, SINGLES, Workload, Writer, requests_of
from benchmarks.server_process import Running, ask, running

RIGHT = "What is right is known before any server is asked."
IDLE_SECONDS = 3.0
Seen = Callable[[Running, Workload, bool], None]


@dataclass(frozen=True)
class Figure:
    """One round of one contender on one workload. Times in milliseconds, ``share`` of the oracle's texts a second.

    ``whole_share``: of the oracle's with its time for tokenising. ``client``: cores that the client took.
    """

    rate: float
    share: float
    whole_share: float
    p50: float
    p99: float
    client: float = 0.0
    refused: int = 0
    waste: float | None = None


@dataclass(frozen=True)
class State:
    """What a server took in one round: seconds to the first answer, megabytes (largest process, all), idle cores.

    ``agreement``: the least cosine of its vectors with the right ones, one by one and in a list.
    """

    first_answer: float
    largest: float
    whole: float
    idle: float
    agreement: float


@dataclass(frozen=True)
class Rounds:
    """How many at most, none of which begins after so many minutes."""

    most: int
    minutes: float

    def seeds(self) -> Iterator[int]:
        """One for each round, as long as there is time; what a round has begun is finished."""
        until = time.monotonic() + 60 * self.minutes
        for seed in range(self.most):
            if time.monotonic() > until:
                print(f"{self.minutes:g} minutes are over after {seed} rounds", file=sys.stderr)
                return
            yield seed


@dataclass(frozen=True)
class Bench:
    """What rounds are made with: models by name, an oracle for each, how long the oracle's part of a round takes."""

    models: dict[str, Model]
    oracles: dict[str, Oracle]
    rates: dict[str, float]
    writer: Writer
    seconds: float

    def texts(self, workload: Workload, *, seed: int) -> list[str]:
        """Texts for a round: about ``seconds`` of the oracle's time, two texts or a list of each client at least."""
        wanted = int(self.rates[workload.name] * self.seconds)
        if workload.clients == 1:
            wanted //= 3  # one core waits for the other, and HTTP is in between
        least = workload.clients * workload.together * (2 if workload.together == 1 else 1)
        return self.writer.write(workload, max(wanted, least, 40), seed=seed)

    def checks(self) -> tuple[list[str], list[Vector]]:
        """Texts of several lengths and their vectors."""
        texts = self.writer.write(CHECKED, 6, seed=3000)
        return texts, self.oracles["minilm"].vectors(texts)

    def right(self) -> tuple[str, Vector]:
        """A text and its vector."""
        (vector,) = self.oracles["minilm"].vectors([RIGHT])
        return RIGHT, vector


def make(models: dict[str, Model], workloads: Sequence[Workload], seconds: float) -> Bench:
    """Oracles for the workloads' models, each with its best setting, and how fast each workload runs there."""
    writer = Writer(models["minilm"].folder / "tokenizer.json")
    oracles: dict[str, Oracle] = {}
    rates = {}
    for workload in {SINGLES: None, **dict.fromkeys(workloads)}:  # the first tells what is right
        sample = writer.write(workload, 64 if workload.lengths.mean else 24, seed=1000)
        model = models[workload.model]
        if workload.model not in oracles:
            oracles[workload.model] = Oracle(model.folder, limit=model.limit, sample=sample)
        rates[workload.name] = len(sample) / oracles[workload.model].ceiling(sample).run
    return Bench(models, oracles, rates, writer, seconds)


def turn(
    bench: Bench, server: Server, workloads: Sequence[Workload], seed: int, venvs: Path, seen: Seen | None = None
) -> tuple[dict[str, Figure], State]:
    """One round of a server: a fresh process, warmed, then each workload; it is stopped at the end.

    ``seen`` is called before (True) and after (False) each workload, for what only the server can tell.
    """
    figures = {}
    model = bench.models[LONG_MODEL if server.venv else "minilm"]  # others have one, for texts of all lengths
    with running(server, model, bench.right(), venvs) as server_now:
        agreement = _agreement(bench, server, server_now)
        _warm(bench, server, server_now, workloads)
        memory = server_now.megabytes()
        before = server_now.cpu_seconds()
        time.sleep(IDLE_SECONDS)
        idle = (server_now.cpu_seconds() - before) / IDLE_SECONDS
        for workload in workloads:
            if seen is not None:
                seen(server_now, workload, True)
            figures[workload.name] = _one(bench, server, server_now, workload, seed)
            if seen is not None:
                seen(server_now, workload, False)
    return figures, State(server_now.first_answer, *memory, idle, agreement)


def _agreement(bench: Bench, server: Server, server_now: Running) -> float:
    texts, vectors = bench.checks()
    found = [vector for text in texts for vector in ask(server, server_now.port, [text])]
    found += ask(server, server_now.port, texts)
    return min(float(np.dot(one, other)) for one, other in zip(found, vectors * 2, strict=True))


def _warm(bench: Bench, server: Server, server_now: Running, workloads: Sequence[Workload]) -> None:
    for workload in workloads:
        texts = bench.writer.write(workload, 2 * max(min(workload.clients, 8), workload.together), seed=2000)
        requests = [server.request(workload.model, some) for some in requests_of(texts, workload.together)]
        measure(Load(server_now.port, requests, workload.clients, limit=bench.seconds))


def _one(bench: Bench, server: Server, server_now: Running, workload: Workload, seed: int) -> Figure:
    texts = bench.texts(workload, seed=seed)
    requests = [server.request(workload.model, some) for some in requests_of(texts, workload.together)]
    ceiling = bench.oracles[workload.model].ceiling(texts)
    limit = 4 * max(bench.seconds, ceiling.whole)  # where others use the machine as well, everyone is slower
    outcome = measure(Load(server_now.port, requests, workload.clients, limit=limit))
    tokens = bench.writer.tokens(texts)
    longest = bench.models[workload.model].limit
    worth = [
        sum(min(one, longest) for one in tokens[start : start + workload.together])
        for start in range(0, len(tokens), workload.together)
    ]
    # Where the time was over before the texts were, what was answered is weighed by its tokens.
    done = sum(worth[place] for place in outcome.answered) / sum(worth)
    return Figure(
        rate=done * len(texts) / outcome.seconds,
        share=done * ceiling.run / outcome.seconds,
        whole_share=done * ceiling.whole / outcome.seconds,
        p50=outcome.percentile(50),
        p99=outcome.percentile(99),
        client=outcome.client_cpu / outcome.seconds,
        refused=sum(count for status, count in outcome.statuses.items() if status != 200) + outcome.lost,
    )


def middle(values: Sequence[float], digits: int = 2) -> str:
    """Median, and the least and most where they differ: ``0.71 (0.66-0.74)``."""
    low, mid, high = (f"{value:.{digits}f}" for value in (min(values), statistics.median(values), max(values)))
    return mid if low == high else f"{mid} ({low}-{high})"
