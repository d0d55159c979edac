"""The child's side of a job: what it runs, and what it writes about the end."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from adapters.jobs import JobKind, JobSpec, JobStatus
from adapters.queue import JobQueue
from adapters.queue.assignment import RUNNERS, Assignment
from adapters.queue.records import Lease
from adapters.worker import run_job
from tests.adapters.queue.machine import Machine
from tests.adapters.queue.runners import COUNTING, traced
from zoo.settings import Settings


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    """``run_job`` takes SIGUSR1 over, as it may in a process of its own."""
    before = signal.getsignal(signal.SIGUSR1)
    yield
    signal.signal(signal.SIGUSR1, before)


def claimed(queue: JobQueue, spec: JobSpec) -> Lease:
    """A job in the hands of a worker."""
    job, _ = queue.submit(spec)
    lease = queue.records.claim(job.id, nonce="w", lease_seconds=30)
    assert lease is not None
    return lease


def run(machine: Machine, lease: Lease) -> int:
    """Run it here."""
    order = Assignment.of(lease, url=machine.url, settings=machine.settings, runners=COUNTING)
    return run_job(lease.job_id, order)


def test_a_result_is_written_and_mirrored(machine: Machine) -> None:
    lease = claimed(machine.queue, JobSpec(kind=JobKind.ADAPT, metadata={"steps": "2"}))
    assert run(machine, lease) == 0
    job = machine.queue.get(lease.job_id)
    assert (job.status, job.result) == (JobStatus.SUCCEEDED, {"fine_tuned_model": "counted@1", "steps": 2})
    kept = machine.queue.journal.read(lease.job_id)
    assert kept is not None and kept.job == job


def test_an_assignment_under_an_old_token_runs_nothing(machine: Machine) -> None:
    lease = claimed(machine.queue, JobSpec(kind=JobKind.ADAPT))
    machine.queue.records.lost(lease.job_id, token=lease.token, attempts=3)
    machine.queue.records.claim(lease.job_id, nonce="v", lease_seconds=30)
    assert run(machine, lease) != 0
    assert traced(machine.home, "start") == []


def test_an_error_of_the_domain_keeps_its_code_message_and_field(machine: Machine) -> None:
    lease = claimed(machine.queue, JobSpec(kind=JobKind.IMPORT, model="refuse"))
    assert run(machine, lease) == 0
    error = machine.queue.get(lease.job_id).error
    assert error is not None
    assert (error.code, error.message, error.param) == (
        "invalid_dataset",
        "the third row has no label",
        "training_file",
    )


def test_any_other_error_tells_the_log_and_not_the_client(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    lease = claimed(machine.queue, JobSpec(kind=JobKind.IMPORT, model="crash"))
    assert run(machine, lease) == 0
    error = machine.queue.get(lease.job_id).error
    assert error is not None and error.code == "internal_error"
    assert "/secret/path" not in error.message and lease.job_id in error.message
    assert "/secret/path" in caplog.text


def test_a_cancelled_job_ends_cancelled(machine: Machine) -> None:
    lease = claimed(machine.queue, JobSpec(kind=JobKind.ADAPT))
    machine.queue.cancel(lease.job_id)
    assert run(machine, lease) == 0
    assert machine.queue.get(lease.job_id).status is JobStatus.CANCELLED
    assert traced(machine.home, "publish") == []


def test_the_settings_of_the_worker_reach_the_child_whatever_the_environment_says(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = Lease("ftjob-" + "0" * 24, 1, 2.0)
    order = Assignment.of(lease, url="unix:///x", settings=machine.settings, runners=RUNNERS)
    monkeypatch.setenv("ZOO_HOME", "/elsewhere")
    monkeypatch.setenv("ZOO_JOB_ATTEMPTS", "9")
    received = Assignment.model_validate_json(order.model_dump_json())
    assert received.worker_settings() == machine.settings
    assert isinstance(received.worker_settings(), Settings)
    assert received.lease == lease


def test_every_kind_of_job_has_a_runner() -> None:
    assert set(RUNNERS) == set(JobKind)
