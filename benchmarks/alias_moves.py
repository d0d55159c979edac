"""Aliases that move under load: are requests lost, or answered by a version that the alias did not mean?

`python -m benchmarks.alias_moves [--moves 1000] [--load 0.8]`: a service of its own on loopback with four versions that
answer with their own number; requests at a share of what it can do; meanwhile its alias is set a thousand times, every
tenth time by a rollout that is promoted or rolled back. An answer is misrouted unless its version was one that the
alias meant, or its canary, at some moment between the request's begin and end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from api.address import address_of, listen
from api.app import build
from api.draining import DrainingServer, configuration
from benchmarks.http_load import Answer, Connections, saturated, steady
from benchmarks.service import circumstances
from tests.tiny_signatures import publish_signature
from zoo.catalogue.store import Store
from zoo.settings import Settings

VERSIONS = 4
ALIAS = "/v1/models/sign/aliases/live"
PAUSE = 0.02  # seconds between two moves
ROUND = 100  # moves between two looks at what the machine can do, which others may use too
MANY = 100  # texts of every tenth request, in many batches


@dataclass
class Named:
    """When each version was one that the alias may have meant: from the sending of what named it to the answer to what
    no longer did."""

    since: dict[int, float] = field(default_factory=dict)
    spans: list[tuple[int, float, float]] = field(default_factory=list)

    def begin(self, version: int) -> None:
        self.since[version] = time.perf_counter()

    def end(self, version: int) -> None:
        self.spans.append((version, self.since.pop(version), time.perf_counter()))

    def close(self) -> None:
        """Nothing is asked any more."""
        for version in list(self.since):
            self.end(version)

    def held(self, version: int, answer: Answer) -> bool:
        """Whether the alias may have meant ``version`` at a moment of the request."""
        return any(one == version and a <= answer.ended and b >= answer.begun for one, a, b in self.spans)


def settings_in(home: Path) -> Settings:
    return Settings(_env_file=None, home=home, redis_url="", log_level="error", drain_seconds=2.0)


def serve(home: Path) -> None:
    """The service, until it is terminated."""
    settings = settings_in(home)
    app = build(settings)
    listener = listen("127.0.0.1", 0)

    def ready() -> None:
        print(address_of(listener), flush=True)

    server = DrainingServer(configuration(app, settings), app.state.serving, ready=ready)
    server.run(sockets=[listener])


@contextmanager
def service(home: Path) -> Iterator[int]:
    """The port of a service in a process of its own, whose alias ``live`` means version 1 of ``sign``."""
    store = Store(home)
    for version in range(1, VERSIONS + 1):
        publish_signature(store, "sign", (f"version {version}", "other"))
    store.set_alias("sign", "live", 1)
    command = [sys.executable, "-m", "benchmarks.alias_moves", "--serve", str(home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline().rpartition(":")[2])
        finally:
            process.terminate()
            process.wait(30)


def request(number: int) -> tuple[str, object]:
    """One text; of every tenth request a list, which takes several batches."""
    inputs = [f"where is parcel {place}" for place in range(MANY)] if number % 10 == 9 else "where is my parcel"
    return "/v1/models/sign/predict", {"inputs": inputs, "parameters": {"top_k": 1}}


async def moved(connections: Connections, named: Named, *, moves: range, now: int) -> tuple[list[float], int]:
    """Move the alias, which means version ``now``; milliseconds that each move took, and what it means then."""
    taken: list[float] = []
    for number in moves:
        new = now % VERSIONS + 1
        named.begin(new)
        if number % 10 < 9:
            taken.append(await changed(connections, "PUT", ALIAS, {"version": new}))
            named.end(now)
            now = new
        else:
            await changed(connections, "PUT", f"{ALIAS}/rollout", {"canary": new, "weight": 50})
            await asyncio.sleep(PAUSE)
            promoted = number % 20 == 19
            method, path = ("POST", f"{ALIAS}/rollout/promote") if promoted else ("DELETE", f"{ALIAS}/rollout")
            taken.append(await changed(connections, method, path, {}))
            named.end(now if promoted else new)
            now = new if promoted else now
        await asyncio.sleep(PAUSE)
    return taken, now


async def changed(connections: Connections, method: str, path: str, body: object) -> float:
    """Milliseconds of a change; ``RuntimeError`` if it was refused."""
    answer = await connections.ask(method, path, body)
    if answer.status != 200:
        raise RuntimeError(f"{method} {path}: {answer.status} {json.dumps(answer.body)}")
    return (answer.ended - answer.begun) * 1000


def faults(answers: list[Answer], named: Named) -> tuple[int, int]:
    """How many requests failed, and how many were answered by a wrong version or by two."""
    failed, misrouted = 0, 0
    for answer in answers:
        if answer.status != 200:
            failed += 1
            continue
        labels = {row[0]["label"] for row in answer.body}
        version = int(answer.headers["x-model-version"])
        misrouted += labels != {f"version {version}"} or not named.held(version, answer)
    return failed, misrouted


async def measure(port: int, *, moves: int, load: float) -> None:
    """Move the alias while the service is asked for a share of what it can do, found anew for each hundred moves."""
    connections, named, now = Connections(port), Named(), 1
    for version in range(1, VERSIONS + 1):
        await connections.ask("POST", f"/v1/models/sign@{version}/predict", {"inputs": "warm"})
    named.begin(now)
    answers: list[Answer] = []
    taken: list[float] = []
    shares: list[float] = []
    for first in range(0, moves, ROUND):
        most = await saturated(connections, request, seconds=1.5)
        over, began = asyncio.Event(), time.perf_counter()
        asking = asyncio.create_task(steady(connections, request, rate=load * most, until=over))
        try:
            span = range(first, min(moves, first + ROUND))
            found, now = await moved(connections, named, moves=span, now=now)
        finally:
            over.set()
            answered = await asking
        taken, answers = taken + found, answers + answered
        rate = len(answered) / (max(one.ended for one in answered) - began)
        shares.append(rate / most)
        print(f"{span.stop} moves, {rate:.0f} requests/s of {most:.0f} ({rate / most:.0%})", flush=True)
    connections.close()
    named.close()
    failed, misrouted = faults(answers, named)
    times = sorted((answer.ended - answer.begun) * 1000 for answer in answers)
    versions = {answer.headers.get("x-model-version", "none") for answer in answers}
    print(
        f"{len(answers)} requests, every tenth of {MANY} texts, {statistics.median(shares):.0%} of saturated (median)"
    )
    print(f"failed: {failed}, misrouted: {misrouted}; versions that answered: {', '.join(sorted(versions))}")
    print(f"latency: median {times[len(times) // 2]:.1f} ms, p99 {times[len(times) * 99 // 100]:.1f} ms")
    print(f"a move: median {statistics.median(taken):.1f} ms, most {max(taken):.1f} ms")


def main() -> None:
    """Measure and print; or be the service that is measured."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--moves", type=int, default=1000)
    parser.add_argument("--load", type=float, default=0.8)
    parser.add_argument("--serve", type=Path)
    asked = parser.parse_args()
    if asked.serve is not None:
        serve(asked.serve)
        return
    print(circumstances())
    with tempfile.TemporaryDirectory() as home, service(Path(home)) as port:
        asyncio.run(measure(port, moves=asked.moves, load=asked.load))


if __name__ == "__main__":
    main()
