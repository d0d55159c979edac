"""The parent's side of an attempt: when a child is ended, and what the record says then."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.jobs import JobKind, JobSpec, JobStatus
from adapters.queue import JobQueue
from adapters.queue.attempt import Attempt, Outcome
from adapters.queue.launch import start_program
from adapters.queue.records import Lease
from tests.adapters.queue.machine import QUICK, Machine, eventually, settings_for
from tests.adapters.queue.test_embedded import dead

ADAPT = JobSpec(kind=JobKind.ADAPT, model="m")
HANG = """
import signal, subprocess, sys, time
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGTERM})
helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open(sys.argv[1], "w").write(str(helper.pid))
while True:
    try:
        time.sleep(600)
    except Exception:
        pass
"""


def claimed(queue: JobQueue, lease_seconds: float = 30) -> Lease:
    job, _ = queue.submit(ADAPT)
    lease = queue.records.claim(job.id, nonce="w", lease_seconds=lease_seconds)
    assert lease is not None
    return lease


def hanging(home: Path) -> subprocess.Popen[bytes]:
    """A child that blocks signals and has a child of its own."""
    process = start_program([sys.executable, "-c", HANG, str(home / "helper")])
    eventually(lambda: (home / "helper").exists() and (home / "helper").read_text())
    return process


def supervised(queue: JobQueue, lease: Lease, process: subprocess.Popen[bytes]) -> Outcome:
    return Attempt(queue, lease, process, timing=QUICK).run(threading.Event(), lambda: None)


def test_a_job_over_its_time_fails_and_leaves_no_process_behind(machine: Machine) -> None:
    settings = settings_for(machine.home).model_copy(update={"job_timeout_seconds": 0.3})
    queue = JobQueue(machine.url, settings)
    lease, process = claimed(queue), hanging(machine.home)
    assert supervised(queue, lease, process) is Outcome.SETTLED
    job = queue.get(lease.job_id)
    assert job.status is JobStatus.FAILED and job.error is not None and job.error.code == "timeout"
    helper = int((machine.home / "helper").read_text())
    eventually(lambda: dead(process.pid) and dead(helper), within=2)
    queue.close()


def test_a_cancelled_job_that_does_not_stop_is_killed(machine: Machine) -> None:
    lease, process = claimed(machine.queue), hanging(machine.home)
    machine.queue.cancel(lease.job_id)
    supervised(machine.queue, lease, process)
    assert machine.queue.get(lease.job_id).status is JobStatus.CANCELLED
    assert process.returncode == -signal.SIGKILL


def test_a_shutdown_does_not_wait_for_a_child_that_hangs_and_counts_no_attempt(machine: Machine) -> None:
    lease, process = claimed(machine.queue), hanging(machine.home)
    stopping = threading.Event()
    stopping.set()
    Attempt(machine.queue, lease, process, timing=replace(QUICK, stop_grace=0.2)).run(stopping, lambda: None)
    job = machine.queue.get(lease.job_id)
    assert (job.status, job.attempt) == (JobStatus.QUEUED, 0)
    assert machine.queue.dispatcher.sent() == {lease.job_id}


@pytest.mark.parametrize("end", ["kill -9 $$", "exit 70"])
def test_a_child_that_dies_without_a_word_costs_an_attempt_and_starts_again(machine: Machine, end: str) -> None:
    lease = claimed(machine.queue)
    supervised(machine.queue, lease, start_program(["/bin/sh", "-c", end]))
    job = machine.queue.get(lease.job_id)
    assert (job.status, job.attempt) == (JobStatus.QUEUED, 1)


def test_a_lease_taken_by_another_ends_the_child_at_once(machine: Machine) -> None:
    lease, process = claimed(machine.queue), hanging(machine.home)
    machine.queue.records.lost(lease.job_id, token=lease.token, attempts=3)
    other = machine.queue.records.claim(lease.job_id, nonce="v", lease_seconds=30)
    assert supervised(machine.queue, lease, process) is Outcome.STALE
    assert machine.queue.get(lease.job_id).token == (other.token if other else 0)


def test_a_child_that_wakes_too_late_and_is_refused_before_the_next_beat_counts_as_taken_over(machine: Machine) -> None:
    lease = claimed(machine.queue)
    machine.queue.records.lost(lease.job_id, token=lease.token, attempts=3)
    machine.queue.records.claim(lease.job_id, nonce="v", lease_seconds=30)
    assert supervised(machine.queue, lease, start_program(["/bin/true"])) is Outcome.STALE


def test_a_child_is_ended_before_its_lease_could_pass_on_while_redis_is_silent(machine: Machine) -> None:
    lease, process = claimed(machine.queue, lease_seconds=1.0), hanging(machine.home)
    attempt = Attempt(machine.queue, lease, process, timing=QUICK)
    assert attempt.deadline_seconds == 0.75
    machine.redis.client_pause(1500)
    attempt.run(threading.Event(), lambda: None)
    assert process.returncode == -signal.SIGKILL
    job = machine.queue.get(lease.job_id)
    assert (job.status, job.attempt) == (JobStatus.QUEUED, 0)


def test_a_long_lease_ends_the_child_three_seconds_early(machine: Machine) -> None:
    lease = claimed(machine.queue, lease_seconds=15)
    process = start_program(["/bin/true"])
    assert Attempt(machine.queue, lease, process, timing=QUICK).deadline_seconds == 12
    process.wait()


def test_a_child_cannot_outlive_the_process_that_started_it(tmp_path: Path) -> None:
    source = """
import sys, time
from adapters.queue.launch import start_program
print(start_program(["/bin/sleep", "60"]).pid, flush=True)
time.sleep(60)
"""
    parent = subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    eventually(lambda: dead(child), within=2)
