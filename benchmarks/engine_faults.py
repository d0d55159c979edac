"""What the engine does when things go wrong, over HTTP: a poisoned row, clients that leave, three times too much.

`python -m benchmarks.engine_faults [poison] [storm] [overload]`, all by default; `--seconds 60` of overload. Each
prints a table with what is wanted and what was found.
"""

from __future__ import annotations

import argparse
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np

from benchmarks import engine_metrics
from benchmarks.engine import ends_cleanly
from benchmarks.engine_load import Load, Outcome, measure
from benchmarks.engine_model import Model, prepared
from benchmarks.engine_oracle import Graph
from benchmarks.engine_poison import POISONED, poisoned
from benchmarks.engine_rounds import RIGHT
from benchmarks.engine_servers import Server, ours
from benchmarks.engine_texts import SHORT, Lengths, Workload, Writer
from benchmarks.server_process import Running, running
from benchmarks.service import circumstances

TOGETHER = 32
STORM_CLIENTS, WAVES = 60, 6
DEADLINE = 2.0  # seconds that a client waits in the overload
SHORT_TEXTS = Workload("overload", SHORT, clients=64, together=1)
LONG_TEXTS = Workload("long", Lengths(256, 256), clients=1, together=8)
TURNS = 4  # of overload
BUSY = 4  # lists that keep the workers busy for a wave


@dataclass(frozen=True)
class Finding:
    """One line of the table."""

    what: str
    wanted: str
    found: str


@dataclass(frozen=True)
class Ground:
    """A running service and what it is asked with."""

    server: Server
    running: Running
    writer: Writer

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.running.port}"


def poison(ground: Ground, seconds: float) -> list[Finding]:
    """One bad row in a list of 32, and one bad request among 32 at once; twenty times each."""
    word = poisoned()
    texts = ground.writer.write(SHORT_TEXTS, TOGETHER - 1, seed=1)
    texts = [text for text in texts if word not in text]
    predict = f"{ground.url}/v1/models/{POISONED}/predict"
    right, wrong, statuses = 0, 0, set()
    for turn in range(20):
        items = [*texts[: turn % TOGETHER], word, *texts[turn % TOGETHER :]]
        answer = httpx.post(predict, json={"inputs": items}, timeout=60, trust_env=False)
        statuses.add(answer.status_code)
        rows = answer.json() if answer.status_code == 200 else []
        right += sum(isinstance(row, list) for row in rows)
        wrong += sum(isinstance(row, dict) and "error" in row for row in rows)
    singles = [*texts[:16], word, *texts[16:]]
    requests = [ground.server.request(POISONED, [text]) for text in singles * 20]
    outcome = measure(Load(ground.running.port, requests, TOGETHER, limit=30.0))
    alive = httpx.post(predict, json={"inputs": texts}, timeout=60, trust_env=False)
    return [
        Finding("right rows of 20 lists with one bad row", f"{20 * len(texts)}", f"{right} (statuses {statuses})"),
        Finding("bad rows that fail alone", "20", str(wrong)),
        Finding("right answers to single requests, one in 32 bad", f"{20 * len(texts)}", f"{outcome.statuses[200]}"),
        Finding("bad single requests refused", "20", f"{_others(outcome)}, {outcome.lost} lost"),
        Finding("the worker answers afterwards", "200", str(alive.status_code)),
    ]


def storm(ground: Ground, seconds: float) -> list[Finding]:
    """While long lists keep every worker busy, clients ask and leave: their rows must not be run.

    How much was run is told by the engine's counters, and by the processor time that the leavers cost above the lists.
    """
    calm = 2  # waves without leavers, to know what a text costs
    together = LONG_TEXTS.together
    texts = ground.writer.write(LONG_TEXTS, (calm + WAVES) * BUSY * together, seed=2)
    lists = [ground.server.request("minilm", texts[at : at + together]) for at in range(0, len(texts), together)]
    groups = [lists[at : at + BUSY] for at in range(0, len(lists), BUSY)]
    lonely = ground.writer.write(LONG_TEXTS, STORM_CLIENTS * WAVES, seed=3)
    leaving = [ground.server.request("minilm", [text]) for text in lonely]

    def calms() -> None:
        for group in groups[:calm]:
            _lists(ground, group, [])

    quiet, _ = _cpu_of(ground, calms)
    each = quiet / (calm * BUSY * together)  # seconds of a core for one such text
    before = engine_metrics.counters(ground.running.port)
    waves = [leaving[at : at + STORM_CLIENTS] for at in range(0, len(leaving), STORM_CLIENTS)]

    def storms() -> None:
        for group, wave in zip(groups[calm:], waves, strict=True):
            _lists(ground, group, wave)

    spent, elapsed = _cpu_of(ground, storms)
    after = engine_metrics.counters(ground.running.port)
    extra = max(0.0, spent - WAVES * BUSY * together * each) / each
    told = after.get(engine_metrics.DROPPED)
    dropped = "not counted by this release" if told is None else f"{told - before[engine_metrics.DROPPED]:.0f}"
    count = len(leaving)
    alive = httpx.post(
        f"{ground.url}/v1/embeddings", json={"model": "minilm", "input": RIGHT}, timeout=60, trust_env=False
    )
    return [
        Finding(f"rows of {count} leavers dropped, as counted", f">= {0.99 * count:.0f}", dropped),
        Finding("rows that were run for leavers, by processor time", f"<= {0.01 * count:.0f}", f"about {extra:.0f}"),
        Finding("the worker answers afterwards", "200", f"{alive.status_code} (storm of {elapsed:.0f} s)"),
    ]


def overload(ground: Ground, seconds: float) -> list[Finding]:
    """Three times the peak, each client with a deadline: in turns with the peak, which moves with the machine."""
    header = [f"x-request-timeout: {DEADLINE}"]
    _closed(ground)  # a service that has just begun reaches half of its peak
    peaks, outcomes = [_closed(ground)], list[Outcome]()
    for turn in range(TURNS):
        rate = 3 * peaks[-1]
        texts = ground.writer.write(SHORT_TEXTS, int(rate * seconds / TURNS), seed=5 + turn)
        requests = [ground.server.request("minilm", [text], header) for text in texts]
        outcomes.append(measure(Load(ground.running.port, requests, 0, limit=seconds / TURNS, rate=rate)))
        peaks.append(_closed(ground))
    latencies = [latency for outcome in outcomes for latency in outcome.latencies]
    spent = sum(outcome.seconds for outcome in outcomes)
    rates = [sum(latency <= DEADLINE for latency in one.latencies) / one.seconds for one in outcomes]
    shares = [2 * rate / (before + after) for rate, before, after in zip(rates, peaks[:-1], peaks[1:], strict=True)]
    statuses = sum((outcome.statuses for outcome in outcomes), Counter[int]())
    refusals = {status: count for status, count in sorted(statuses.items()) if status != 200}
    shown = ", ".join(f"{share:.2f}" for share in shares)
    return [
        Finding("99 of 100 accepted answered within, s", f"<= {DEADLINE}", f"{np.percentile(latencies, 99):.2f}"),
        Finding(
            f"answers in time a second over the peaks around ({min(peaks):.0f} to {max(peaks):.0f}/s)",
            ">= .95",
            f"{np.mean(shares):.2f} ({shown})",
        ),
        Finding("refusals", "429 and 503 only", str(refusals)),
        Finding("refusals without Retry-After", "0", str(sum(outcome.unexplained for outcome in outcomes))),
        Finding("connections lost", "0", str(sum(outcome.lost for outcome in outcomes))),
        Finding(
            "the client's own share of a core",
            "small",
            f"{sum(outcome.client_cpu for outcome in outcomes) / spent:.2f}",
        ),
    ]


def _closed(ground: Ground) -> float:
    """Texts a second that 64 clients get out of it."""
    texts = ground.writer.write(SHORT_TEXTS, 6000, seed=int(time.time()))
    requests = [ground.server.request("minilm", [text]) for text in texts]
    outcome = measure(Load(ground.running.port, requests, SHORT_TEXTS.clients, limit=8.0))
    return len(outcome.latencies) / outcome.seconds


def _others(outcome: Outcome) -> str:
    return str({status: count for status, count in sorted(outcome.statuses.items()) if status != 200})


def _cpu_of(ground: Ground, work: Callable[[], object]) -> tuple[float, float]:
    """Processor time of the service for some work, and its duration, in seconds."""
    cpu, began = ground.running.cpu_seconds(), time.perf_counter()
    work()
    time.sleep(1.0)  # what is still run for nobody shows in it
    return ground.running.cpu_seconds() - cpu, time.perf_counter() - began


def _lists(ground: Ground, lists: Sequence[bytes], leaving: Sequence[bytes]) -> None:
    """Send lists at once; while they run, others ask on connections of their own and leave. Waits for the lists."""
    threads = [threading.Thread(target=_answer, args=(ground, one)) for one in lists]
    for thread in threads:
        thread.start()
    time.sleep(0.15)  # the lists have reached the workers: each takes a second and more
    with ExitStack() as stack:
        for one in leaving:
            stack.enter_context(_connected(ground)).sendall(one)
        time.sleep(0.2)  # and these have reached the queue
    for thread in threads:
        thread.join()


def _connected(ground: Ground) -> socket.socket:
    return socket.create_connection(("127.0.0.1", ground.running.port), timeout=60)


def _answer(ground: Ground, request: bytes) -> None:
    with _connected(ground) as connection:
        connection.sendall(request)
        assert connection.recv(16).startswith(b"HTTP/1.1 200"), "a list was refused"
        connection.settimeout(0.2)
        try:
            while connection.recv(1 << 16):
                pass
        except TimeoutError:
            pass


RUNS = {"poison": poison, "storm": storm, "overload": overload}


def judged(name: str, model: Model, seconds: float) -> None:
    """One judging run against a fresh service, as a table."""
    graph = Graph(model.folder, threads=1, limit=model.limit)
    (vector,) = graph.vectors(graph.encode([RIGHT]))
    server = ours()
    if name == "poison":
        poisoned()
    with running(server, model, (RIGHT, vector), Path()) as started:
        ground = Ground(server, started, Writer(model.folder / "tokenizer.json"))
        print(f"\n{name}\n\n| what | wanted | found |\n|---|---|---|")
        for finding in RUNS[name](ground, seconds):
            print(f"| {finding.what} | {finding.wanted} | {finding.found} |", flush=True)


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", metavar="RUN", help=", ".join(RUNS))
    parser.add_argument("--seconds", type=float, default=60.0)
    asked = parser.parse_args()
    ends_cleanly()
    print(circumstances(), flush=True)
    model = prepared()["minilm"]
    for name in asked.runs or RUNS:
        judged(name, model, asked.seconds)


if __name__ == "__main__":
    main()
