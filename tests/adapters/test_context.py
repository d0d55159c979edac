"""What a running job is told, and what it may tell."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.context import AttemptContext
from adapters.jobs import JobKind, JobPreempted, JobSpec, JobStopped
from adapters.queue import JobQueue
from adapters.queue.records import Lease
from tests.adapters.queue.machine import settings_for


@pytest.fixture
def lease(queue: JobQueue) -> Lease:
    """A claimed job."""
    job, _ = queue.submit(JobSpec(kind=JobKind.ADAPT, model="m"))
    lease = queue.records.claim(job.id, nonce="w", lease_seconds=30)
    assert lease is not None
    return lease


@pytest.fixture
def context(queue: JobQueue, lease: Lease) -> AttemptContext:
    """Its context."""
    return AttemptContext(queue, lease, queue.get(lease.job_id))


def test_an_attempt_has_a_folder_of_its_own_inside_that_of_the_job(context: AttemptContext, queue: JobQueue) -> None:
    assert context.folder == queue.settings.home / "jobs" / context.job.id
    assert context.attempt_folder == context.folder / "attempt-1"
    assert context.attempt_folder.is_dir()


def test_a_new_attempt_clears_away_what_older_ones_left_and_keeps_the_checkpoints(
    context: AttemptContext, queue: JobQueue
) -> None:
    (context.attempt_folder / "half").write_text("written")
    (context.folder / "checkpoint.json").write_text("{}")
    queue.records.lost(context.job.id, token=1, attempts=3)
    again = queue.records.claim(context.job.id, nonce="v", lease_seconds=30)
    assert again is not None
    newer = AttemptContext(queue, again, queue.get(context.job.id))
    assert newer.attempt_folder.is_dir()
    assert not context.attempt_folder.exists()
    assert (context.folder / "checkpoint.json").exists()


def test_ticks_are_written_at_most_once_a_second(context: AttemptContext, queue: JobQueue) -> None:
    for step in range(1, 50):
        context.tick("train", step, 100, eta_seconds=9.0, loss=0.5)
    progress = queue.get(context.job.id).progress
    assert (progress.stage, progress.step, progress.total) == ("train", 1, 100)
    assert (progress.eta_seconds, progress.metrics) == (9.0, {"loss": 0.5})
    metrics = [event for event in queue.events(context.job.id).items if event.type == "metrics"]
    assert [event.data for event in metrics] == [{"stage": "train", "step": 1, "total": 100, "loss": 0.5}]


def test_a_long_stage_tells_at_most_a_hundred_times(
    context: AttemptContext, queue: JobQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.context.PROGRESS_SECONDS", 0.0)
    for step in range(1, 1001):
        context.tick("train", step, 1000)
    assert len([e for e in queue.events(context.job.id, limit=1000).items if e.type == "metrics"]) == 100


def test_a_preempted_job_saves_and_leaves_at_the_next_tick(context: AttemptContext) -> None:
    saved: list[int] = []
    context.preempt()
    with pytest.raises(JobPreempted):
        context.tick("train", 7, 10, save=lambda: saved.append(7))
    assert saved == [7]


def test_a_preempted_job_that_cannot_save_leaves_all_the_same(context: AttemptContext) -> None:
    def save() -> None:
        raise OSError("disk full")

    context.preempt()
    with pytest.raises(JobPreempted):
        context.tick("train", 7, 10, save=save)


def test_a_cancelled_job_stops_at_its_next_tick(context: AttemptContext, queue: JobQueue) -> None:
    queue.cancel(context.job.id)
    with pytest.raises(JobStopped):
        context.tick("train", 1, 10)
    assert context.cancelled


def test_a_cancelled_job_does_not_publish(context: AttemptContext, queue: JobQueue) -> None:
    context.confirm()
    queue.cancel(context.job.id)
    with pytest.raises(JobStopped):
        context.confirm()


def test_a_fenced_attempt_is_stopped_by_whatever_it_does(context: AttemptContext, queue: JobQueue) -> None:
    queue.records.lost(context.job.id, token=1, attempts=3)
    acts: tuple[Callable[[], None], ...] = (
        lambda: context.tick("train", 1, 10),
        lambda: context.event("x"),
        lambda: context.checkpointed(1),
        lambda: context.confirm(),
    )
    for act in acts:
        with pytest.raises(JobStopped):
            act()
    assert not context.cancelled


def test_a_checkpoint_is_listed_with_its_metrics(context: AttemptContext, queue: JobQueue) -> None:
    context.checkpointed(20, loss=0.25)
    (checkpoint,) = queue.checkpoints(context.job.id).items
    assert (checkpoint.step, checkpoint.metrics) == (20, {"loss": 0.25})


def test_work_goes_on_without_redis_but_nothing_is_published(
    lease: Lease, context: AttemptContext, tmp_path: Path
) -> None:
    away = JobQueue(f"unix://{tmp_path}/nothing.sock", settings_for(tmp_path))
    lonely = AttemptContext(away, Lease(lease.job_id, lease.token, 0.1), context.job)
    lonely.tick("train", 1, 10)
    lonely.event("still here")
    lonely.checkpointed(1)
    with pytest.raises(JobStopped):
        lonely.confirm()
    away.close()
