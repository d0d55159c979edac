"""Twenty seeded kills of workers, children and Redis over a stream of jobs: each is published once, none is lost."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from adapters.jobs import JobKind, JobSpec, JobStatus
from adapters.queue import EmbeddedRedis
from tests.adapters.queue.machine import Machine
from tests.adapters.queue.runners import traced
from zoo.errors import Unavailable

KILLS = 20
WORKERS = 2
BLIND = 0.2  # of the strikes hit whatever the other worker does, its start for example
TARGETS = ("worker", "child", "both", "redis", "stop")


class Chaos:
    """A supervisor that restarts workers, a client that keeps jobs coming, and a killer with a seed."""

    def __init__(self, machine: Machine, server: EmbeddedRedis, seed: int) -> None:
        self.machine = machine
        self.server = server
        self.random = random.Random(seed)
        self.jobs: list[str] = []
        self.workers = [machine.worker() for _ in range(WORKERS)]
        self.killed: list[str] = []

    def supervise(self) -> None:
        """Start a worker again in the place of each that has ended."""
        for place, worker in enumerate(self.workers):
            if worker.poll() is not None:
                self.workers[place] = self.machine.worker()

    def unfinished(self) -> list[str]:
        """Jobs that have not ended; while Redis is away, those not known to have ended."""
        waiting = []
        for job_id in self.jobs:
            try:
                if not self.machine.queue.get(job_id).status.terminal:
                    waiting.append(job_id)
            except Unavailable:
                waiting.append(job_id)
        return waiting

    def feed(self) -> None:
        """Keep three jobs in hand."""
        try:
            while len(self.unfinished()) < 3:
                wish = {"steps": "30", "pause": "0.04"}
                job, _ = self.machine.queue.submit(JobSpec(kind=JobKind.ADAPT, model="m", metadata=wish))
                self.jobs.append(job.id)
        except Unavailable:
            pass

    def strike(self) -> None:
        """Kill something that lives."""
        target = self.random.choice(TARGETS)
        worker = self.random.choice(self.workers) if self.random.random() < BLIND else self.busiest()
        children = children_of(worker.pid)
        if target in ("child", "both"):
            for child in children:
                kill(child, signal.SIGKILL)
        if target in ("worker", "both"):
            kill(worker.pid, signal.SIGKILL)
        if target == "stop":
            kill(worker.pid, signal.SIGTERM)
        if target == "redis" and self.server.pid is not None:
            kill(self.server.pid, signal.SIGKILL)
        self.killed.append(target)

    def busiest(self) -> subprocess.Popen[bytes]:
        """The worker whose child made the last step; striking it never hits one job thrice without progress, which
        would rightly end that job."""
        last = traced(self.machine.home, "step")[-1]["pid"]
        return next((worker for worker in self.workers if last in children_of(worker.pid)), self.workers[0])

    def run(self, give_up: float) -> None:
        """Strike after some progress each time, then let all jobs end."""
        seen, due = 0, 0.0
        while len(self.killed) < KILLS or self.unfinished():
            assert time.monotonic() < give_up, f"not done after {self.killed}"
            self.supervise()
            if len(self.killed) < KILLS:
                self.feed()
                steps = len(traced(self.machine.home, "step"))
                if steps > seen and not due:
                    due = time.monotonic() + self.random.uniform(0.0, 0.6)
                if due and time.monotonic() >= due:
                    self.strike()
                    seen, due = steps, 0.0
            time.sleep(0.03)


def children_of(pid: int) -> list[int]:
    """Processes that a process's main thread has started."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def kill(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process that may be gone already."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


@pytest.mark.chaos
@pytest.mark.parametrize("seed", [1])
def test_twenty_kills_lose_no_job_and_publish_none_twice(tmp_path: Path, seed: int) -> None:
    server = EmbeddedRedis(tmp_path)
    machine = Machine(tmp_path, server.start())
    machine.configure(job_attempts=5)
    chaos = Chaos(machine, server, seed)
    try:
        chaos.run(time.monotonic() + 110)
        assert len(chaos.killed) == KILLS
        for job_id in chaos.jobs:
            assert machine.queue.get(job_id).status is JobStatus.SUCCEEDED
            assert len(traced(machine.home, "publish", job_id)) == 1
            assert_steps_follow_the_checkpoints(machine, job_id)
        assert {job.id for job in machine.queue.list(limit=100).items} == set(chaos.jobs)
    finally:
        machine.close()
        server.stop()


def assert_steps_follow_the_checkpoints(machine: Machine, job_id: str) -> None:
    """One attempt at a time, each from where the last checkpoint was; no step is skipped."""
    starts, steps = traced(machine.home, "start", job_id), traced(machine.home, "step", job_id)
    tokens = [start["token"] for start in starts]
    assert tokens == sorted(set(tokens))
    assert [step["token"] for step in steps] == sorted(step["token"] for step in steps)
    reached = 0
    for start in starts:
        mine = [step["step"] for step in steps if step["token"] == start["token"]]
        assert mine == list(range(start["step"] + 1, start["step"] + 1 + len(mine)))
        assert start["step"] in (reached, reached - 1)  # the checkpoint of the last step may not have been written
        reached = mine[-1] if mine else start["step"]
    assert reached == 30
