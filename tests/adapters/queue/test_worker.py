"""Workers in real processes: what they make of jobs, of signals, and of being killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.jobs import Job, JobKind, JobSpec, JobStatus
from adapters.queue import EmbeddedRedis, WorkerSupervisor
from adapters.queue.attempt import Timing
from tests.adapters.queue.machine import QUICK, Machine, eventually
from tests.adapters.queue.runners import COUNTING, traced
from tests.adapters.queue.test_embedded import dead


def counting(machine: Machine, **wish: object) -> Job:
    """A job that counts; see the runner."""
    metadata = {name: str(value) for name, value in wish.items()}
    return machine.queue.submit(JobSpec(kind=JobKind.ADAPT, model="m", metadata=metadata))[0]


def deed(machine: Machine, what: str) -> Job:
    """A job that misbehaves."""
    return machine.queue.submit(JobSpec(kind=JobKind.IMPORT, model=what))[0]


def ended(machine: Machine, job: Job, within: float = 20) -> Job:
    """The job once it has ended."""
    eventually(lambda: machine.queue.get(job.id).status.terminal, within=within)
    return machine.queue.get(job.id)


def child_of(machine: Machine, job: Job, step: int = 3) -> int:
    """The process that runs a job, once it has come to a step."""
    eventually(lambda: len(traced(machine.home, "step", job.id)) >= step)
    return int(traced(machine.home, "step", job.id)[-1]["pid"])


def assert_resumed_and_published_once(machine: Machine, job: Job) -> None:
    """Every start began where the last checkpoint before it was, and one publication happened."""
    assert ended(machine, job).status is JobStatus.SUCCEEDED
    assert len(traced(machine.home, "publish", job.id)) == 1
    starts = traced(machine.home, "start", job.id)
    assert len(starts) >= 2 and starts[-1]["step"] > 0
    assert [start["token"] for start in starts] == sorted({start["token"] for start in starts})


def test_a_job_runs_to_its_end_and_reports_on_the_way(machine: Machine) -> None:
    machine.worker()
    job = counting(machine, steps=4)
    done = ended(machine, job)
    assert (done.status, done.attempt, done.result) == (
        JobStatus.SUCCEEDED,
        1,
        {"fine_tuned_model": "counted@1", "steps": 4},
    )
    assert (done.progress.stage, done.progress.step, done.progress.total) == ("count", 4, 4)
    assert [checkpoint.step for checkpoint in machine.queue.checkpoints(job.id).items] == [4, 3, 2, 1]
    assert (machine.home / "jobs" / job.id / "attempt-1").is_dir()
    eventually(lambda: (kept := machine.queue.journal.read(job.id)) is not None and kept.job == done)


@pytest.mark.parametrize(
    ("what", "code", "param"),
    [
        ("refuse", "invalid_dataset", "training_file"),
        ("crash", "internal_error", None),
        ("exhaust", "out_of_memory", None),
        ("unserialisable", "internal_error", None),
    ],
)
def test_a_job_that_raises_fails_with_a_code_and_without_a_trace(
    machine: Machine, what: str, code: str, param: str | None
) -> None:
    machine.worker()
    job = ended(machine, deed(machine, what))
    assert job.status is JobStatus.FAILED and job.error is not None
    assert (job.error.code, job.error.param, job.attempt) == (code, param, 1)
    assert "/secret/path" not in job.error.message + str(machine.queue.events(job.id).items)


def test_a_kind_whose_runner_cannot_be_imported_fails_with_internal_error(machine: Machine) -> None:
    machine.worker()
    job = ended(machine, machine.queue.submit(JobSpec(kind=JobKind.INSPECT))[0])
    assert job.error is not None and job.error.code == "internal_error"


def test_a_job_that_kills_its_process_every_time_is_given_up(machine: Machine) -> None:
    machine.configure(job_attempts=2)
    machine.worker()
    job = ended(machine, deed(machine, "die"))
    assert job.status is JobStatus.FAILED and job.error is not None
    assert (job.error.code, job.attempt) == ("worker_lost", 2)
    assert len(traced(machine.home, "start", job.id)) == 2


def test_a_running_job_that_ticks_is_cancelled_although_it_swallows_exceptions(machine: Machine) -> None:
    machine.worker()
    job = deed(machine, "swallow")
    eventually(lambda: traced(machine.home, "start", job.id))
    machine.queue.cancel(job.id)
    assert ended(machine, job, within=10).status is JobStatus.CANCELLED
    assert machine.queue.cancel(job.id).status is JobStatus.CANCELLED


def test_a_running_job_that_does_not_tick_is_cancelled_too(machine: Machine) -> None:
    machine.worker()
    job = deed(machine, "hang")
    eventually(lambda: traced(machine.home, "helper", job.id))
    machine.queue.cancel(job.id)
    assert ended(machine, job, within=10).status is JobStatus.CANCELLED
    helper = traced(machine.home, "helper", job.id)[0]["helper"]
    eventually(lambda: dead(helper), within=2)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_worker_saves_puts_the_job_back_and_the_next_one_goes_on(
    machine: Machine, number: signal.Signals
) -> None:
    worker = machine.worker()
    job = counting(machine, steps=60, pause=0.03, every=1000)  # saves only when it is asked to
    child = child_of(machine, job)
    os.kill(worker.pid, number)
    assert worker.wait(timeout=5) == 0
    assert dead(child)
    waiting = machine.queue.get(job.id)
    assert (waiting.status, waiting.attempt) == (JobStatus.QUEUED, 0)
    reached = traced(machine.home, "step", job.id)[-1]["step"]
    machine.worker()
    assert_resumed_and_published_once(machine, job)
    assert traced(machine.home, "start", job.id)[-1]["step"] == reached
    assert machine.queue.get(job.id).attempt == 1


def test_an_idle_worker_stops_at_once(machine: Machine) -> None:
    worker = machine.worker()
    eventually(lambda: machine.queue.workers())
    worker.terminate()
    assert worker.wait(timeout=5) == 0
    assert machine.queue.workers() == ()


def test_a_killed_child_starts_again_from_its_checkpoint(machine: Machine) -> None:
    machine.worker()
    job = counting(machine, steps=25, pause=0.03)
    os.kill(child_of(machine, job), signal.SIGKILL)
    assert_resumed_and_published_once(machine, job)


def test_a_killed_worker_takes_its_child_with_it_and_another_goes_on(machine: Machine) -> None:
    worker = machine.worker()
    job = counting(machine, steps=25, pause=0.03)
    child = child_of(machine, job)
    worker.kill()
    worker.wait()
    eventually(lambda: dead(child), within=1)
    machine.worker()
    assert_resumed_and_published_once(machine, job)


def test_worker_and_child_killed_together_are_replaced(machine: Machine) -> None:
    worker = machine.worker()
    job = counting(machine, steps=25, pause=0.03)
    child = child_of(machine, job)
    os.kill(child, signal.SIGKILL)
    worker.kill()
    worker.wait()
    machine.worker()
    assert_resumed_and_published_once(machine, job)


def test_a_frozen_worker_is_replaced_and_fenced_when_it_wakes(machine: Machine) -> None:
    frozen = machine.worker()
    job = counting(machine, steps=25, pause=0.03)
    child = child_of(machine, job)
    for pid in (frozen.pid, child):
        os.kill(pid, signal.SIGSTOP)
    machine.worker()
    assert_resumed_and_published_once(machine, job)
    for pid in (child, frozen.pid):
        os.kill(pid, signal.SIGCONT)
    assert frozen.wait(timeout=10) == 75
    assert dead(child)
    assert len(traced(machine.home, "publish", job.id)) == 1
    assert machine.queue.get(job.id).token == 2


def test_after_flushall_a_running_job_is_restored_and_published_once(machine: Machine) -> None:
    machine.worker()
    job = counting(machine, steps=60, pause=0.03)
    child_of(machine, job)
    machine.redis.flushall()
    assert_resumed_and_published_once(machine, job)


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    """A server that may be hurt."""
    server = EmbeddedRedis(tmp_path)
    server.start()
    yield server
    server.stop()


def test_a_killed_redis_loses_no_accepted_job_and_no_worker(own_redis: EmbeddedRedis, tmp_path: Path) -> None:
    machine = Machine(tmp_path, own_redis.url)
    worker = machine.worker()
    running = counting(machine, steps=25, pause=0.03)
    waiting = [counting(machine, steps=2) for _ in range(3)]
    child_of(machine, running)
    assert own_redis.pid is not None
    os.kill(own_redis.pid, signal.SIGKILL)

    def back() -> bool:
        try:
            machine.queue.ping()
        except Exception:
            return False
        return True

    eventually(back)
    for job in (running, *waiting):
        assert ended(machine, job).status is JobStatus.SUCCEEDED
        assert len(traced(machine.home, "publish", job.id)) == 1
    assert worker.poll() is None
    machine.close()


def test_a_worker_without_redis_for_too_long_ends_with_1(own_redis: EmbeddedRedis, tmp_path: Path) -> None:
    machine = Machine(tmp_path, own_redis.url)
    worker = machine.worker(Timing(beat=0.2, janitor=0.3, redis_patience=0.5))
    eventually(lambda: machine.queue.workers())
    own_redis.stop()
    assert worker.wait(timeout=10) == 1
    machine.close()


def test_a_worker_shows_that_it_is_alive(machine: Machine) -> None:
    worker = machine.worker()
    eventually(lambda: (machine.home / "jobs" / "worker-alive").exists())
    assert time.time() - (machine.home / "jobs" / "worker-alive").stat().st_mtime < 10
    eventually(lambda: machine.queue.workers())
    (info,) = machine.queue.workers()
    assert (info.pid, info.job_id) == (worker.pid, None)
    assert info.heartbeat_age < 10


def test_a_worker_runs_at_low_priority(machine: Machine) -> None:
    worker = machine.worker()
    eventually(lambda: machine.queue.workers())
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert os.getpriority(os.PRIO_PROCESS, worker.pid) == min(own + 10, 19)


def test_no_secret_of_the_settings_shows_in_the_process_list(machine: Machine) -> None:
    machine.configure(api_key="hunter2hunter2")
    worker = machine.worker()
    job = counting(machine, steps=30, pause=0.05)
    child = child_of(machine, job)
    for pid in (worker.pid, child):
        assert b"hunter2" not in Path(f"/proc/{pid}/cmdline").read_bytes()
        assert b"hunter2" not in Path(f"/proc/{pid}/environ").read_bytes()


def test_the_supervisor_replaces_a_worker_that_dies_and_ends_it_with_itself(machine: Machine) -> None:
    supervisor = WorkerSupervisor(machine.url, machine.settings, runners=COUNTING, timing=QUICK)
    supervisor.start()
    job = counting(machine, steps=25, pause=0.03)
    child_of(machine, job)
    first = supervisor.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    assert_resumed_and_published_once(machine, job)
    second = supervisor.pid
    assert second is not None and second != first
    supervisor.stop()
    assert dead(second)


def test_the_worker_process_holds_no_training_library(machine: Machine) -> None:
    heavy = "{'torch', 'transformers', 'onnxruntime'}"
    source = f"import sys, adapters.queue, adapters.worker; print({heavy} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "set()"
