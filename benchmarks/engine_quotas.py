"""Threads that the service chooses by itself under a CPU quota, beside every hand-picked number, in interleaved rounds.

`python -m benchmarks.engine_quotas [--quotas .5 1 2] [--threads 1 2] [--rounds 3] [--seconds 4] [--minutes 10]`. Each
server is started afresh in a control group of its own, so that it sees the quota as in a container; the client stays
outside. In a round all of them get the same texts: 64 clients with one text each for `--seconds`, then one client. The
best is the hand-picked number with the best median of all rounds. No server is started after `--minutes`; what was
measured before an interruption is printed. Where no control group can be made, whole CPUs are given by affinity and
fractions are left out.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx

from benchmarks.cpu_quota import affinity, quota
from benchmarks.engine import ends_cleanly
from benchmarks.engine_load import Load, Outcome, measure
from benchmarks.engine_model import Model, prepared
from benchmarks.engine_oracle import Graph, Vector
from benchmarks.engine_rounds import RIGHT, middle
from benchmarks.engine_servers import Server, ours
from benchmarks.engine_texts import ALONE, SINGLES, Workload, Writer
from benchmarks.server_process import Running, running
from benchmarks.service import circumstances

ITSELF = "chosen by itself"
MOST_RATE = 400  # texts a second: more than any such machine answers


@dataclass(frozen=True)
class Reading:
    """One server in one round. ``rate``: texts a second of 64 clients, weighed by tokens; milliseconds of one client.

    ``choice``: workers, and threads of a row that is alone.
    """

    rate: float
    many_p99: float
    p50: float
    p99: float
    choice: str


@dataclass(frozen=True)
class Ground:
    """What every server is asked with: the model, texts, a right answer, seconds for each load."""

    model: Model
    writer: Writer
    right: tuple[str, Vector]
    seconds: float


Found = dict[str, dict[int, Reading]]  # by setting and round


@contextmanager
def granted(cpus: float) -> Iterator[tuple[str, ...]]:
    """A quota, or else so many whole CPUs; raises ``ValueError`` where neither can be had."""
    try:
        group = quota(cpus)
        within = group.__enter__()
    except OSError as error:
        print(f"no control group ({error}): CPUs by affinity", file=sys.stderr)
        yield affinity(cpus)
        return
    try:
        yield within
    finally:
        group.__exit__(None, None, None)


def reading(ground: Ground, server: Server, seed: int) -> Reading:
    """Start a server, load it, and end it."""
    with running(server, ground.model, ground.right, Path()) as started:
        _load(ground, server, started, SINGLES, seed + 1000, seconds=ground.seconds / 4)  # warm
        many, rate = _load(ground, server, started, SINGLES, seed, seconds=ground.seconds)
        one, _ = _load(ground, server, started, ALONE, seed, seconds=ground.seconds)
        url = f"http://127.0.0.1:{started.port}/v1/models/minilm"
        threads = httpx.get(url, timeout=30, trust_env=False, verify=False).json()["threads"]
    choice = f"{threads['workers']} / {threads['alone']}"
    return Reading(rate, many.percentile(99), one.percentile(50), one.percentile(99), choice)


def _load(
    ground: Ground, server: Server, started: Running, workload: Workload, seed: int, *, seconds: float
) -> tuple[Outcome, float]:
    texts = ground.writer.write(workload, int(MOST_RATE * seconds), seed=seed)
    requests = [server.request(workload.model, [text]) for text in texts]
    outcome = measure(Load(started.port, requests, workload.clients, limit=seconds))
    tokens = ground.writer.tokens(texts)
    done = sum(tokens[place] for place in outcome.answered)
    return outcome, done / outcome.seconds / statistics.mean(tokens)


def compare(ground: Ground, quotas: Sequence[float], threads: Sequence[int], rounds: int, minutes: float) -> None:
    """Measure and print, quota by quota within each round."""
    settings = [(ITSELF, 0), *((f"{count} by hand", count) for count in threads)]
    found: dict[float, Found] = {cpus: defaultdict(dict) for cpus in quotas}
    until = time.monotonic() + 60 * minutes
    try:
        turns = [(seed, cpus, place) for seed in range(rounds) for cpus in quotas for place in range(len(settings))]
        for seed, cpus, place in turns:
            if time.monotonic() > until:
                print(f"{minutes:g} minutes are over in round {seed + 1}", file=sys.stderr)
                break
            name, count = settings[(place + seed) % len(settings)]
            with granted(cpus) as within:
                server = replace(ours("--threads", str(count)), within=within)
                told = found[cpus][name][seed] = reading(ground, server, seed)
            print(f"round {seed + 1}: {cpus:g} CPUs: {name}: {told}", file=sys.stderr, flush=True)
    finally:
        for cpus in quotas:
            _print(cpus, found[cpus])


def _print(cpus: float, found: Found) -> None:
    print(f"\n{cpus:g} CPUs\n\n| threads | workers / alone | 64 clients: texts/s | p99, ms | one: p50, ms | p99, ms |")
    print("|---|---|---|---|---|---|")
    for name, readings in sorted(found.items()):
        some = list(readings.values())
        columns: list[tuple[Callable[[Reading], float], int]] = [
            (lambda one: one.rate, 1),
            (lambda one: one.many_p99, 0),
            (lambda one: one.p50, 1),
            (lambda one: one.p99, 1),
        ]
        cells = [middle([of(one) for one in some], digits) for of, digits in columns]
        print(f"| {name} | {', '.join(sorted({one.choice for one in some}))} | {' | '.join(cells)} |", flush=True)
    _print_ratio(found, "texts a second of 64 clients", lambda one: one.rate)
    _print_ratio(found, "speed of one client (1 / p50)", lambda one: 1 / one.p50)


def _print_ratio(found: Found, what: str, of: Callable[[Reading], float]) -> None:
    own = found.get(ITSELF, {})
    by_hand = {name: some for name, some in found.items() if name != ITSELF and set(some) & set(own)}
    if not by_hand:
        return
    best = max(by_hand, key=lambda name: statistics.median(map(of, by_hand[name].values())))
    ratios = [of(own[seed]) / of(one) for seed, one in by_hand[best].items() if seed in own]
    print(f"\n{what}, over the best ({best}): {middle(ratios)} in {len(ratios)} rounds")


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quotas", nargs="*", type=float, default=[0.5, 1.0, 2.0])
    parser.add_argument("--threads", nargs="*", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--minutes", type=float, default=10.0)
    asked = parser.parse_args()
    ends_cleanly()
    print(circumstances(), flush=True)
    model = prepared()["minilm"]
    graph = Graph(model.folder, threads=1, limit=model.limit)
    (vector,) = graph.vectors(graph.encode([RIGHT]))
    ground = Ground(model, Writer(model.folder / "tokenizer.json"), (RIGHT, vector), asked.seconds)
    del graph
    compare(ground, asked.quotas, asked.threads, asked.rounds, asked.minutes)


if __name__ == "__main__":
    main()
