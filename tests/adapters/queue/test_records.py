"""The state machine: which moves happen, who may make them, and what is counted."""

from __future__ import annotations

import pytest

from adapters.jobs import JobError, JobKind, JobSpec, JobStatus
from adapters.queue import JobQueue
from adapters.queue.records import Lease

ADAPT = JobSpec(kind=JobKind.ADAPT, model="m")
BROKEN = JobError(code="x", message="y")


def submitted(queue: JobQueue) -> str:
    return queue.submit(ADAPT)[0].id


def claimed(queue: JobQueue, job_id: str, nonce: str = "w") -> Lease:
    lease = queue.records.claim(job_id, nonce=nonce, lease_seconds=30)
    assert lease is not None
    return lease


def test_a_claim_counts_an_attempt_and_gives_a_new_token(queue: JobQueue) -> None:
    job_id = submitted(queue)
    first = claimed(queue, job_id)
    queue.records.lost(job_id, token=first.token, attempts=3)
    second = claimed(queue, job_id, "v")
    job = queue.get(job_id)
    assert (first.token, second.token) == (1, 2)
    assert (job.status, job.attempt, job.token) == (JobStatus.RUNNING, 2, 2)


def test_a_running_job_cannot_be_claimed(queue: JobQueue) -> None:
    job_id = submitted(queue)
    claimed(queue, job_id)
    assert queue.records.claim(job_id, nonce="other", lease_seconds=30) is None


def test_a_claim_that_is_sent_twice_counts_once(queue: JobQueue) -> None:
    job_id = submitted(queue)
    assert claimed(queue, job_id) == claimed(queue, job_id)
    assert queue.get(job_id).attempt == 1


def test_an_unknown_job_cannot_be_claimed(queue: JobQueue) -> None:
    assert queue.records.claim("ftjob-" + "0" * 24, nonce="w", lease_seconds=30) is None


def test_an_attempt_that_has_ended_by_itself_is_not_taken_for_a_lost_one(queue: JobQueue) -> None:
    job_id = submitted(queue)
    lease = claimed(queue, job_id)
    queue.records.succeed(lease, {})
    assert queue.records.beat(lease) == "ended"


def test_every_write_under_an_old_token_is_dropped(queue: JobQueue) -> None:
    job_id = submitted(queue)
    old = claimed(queue, job_id)
    queue.records.lost(job_id, token=old.token, attempts=3)
    new = claimed(queue, job_id, "v")
    records = queue.records
    assert records.beat(old) == "stale"
    assert records.event(old, "late", level="info", data={}) == "stale"
    assert records.checkpoint(old, 5, {}) == "stale"
    assert records.succeed(old, {"late": True}) == "stale"
    assert records.fail(old, BROKEN) == "stale"
    assert records.cancelled(old) == "stale"
    assert records.release(old) is False
    assert records.lost(job_id, token=old.token, attempts=3) == "stale"
    assert records.succeed(new, {"late": False}) == "held"
    assert queue.get(job_id).result == {"late": False}
    assert queue.checkpoints(job_id).items == ()


@pytest.mark.parametrize("end", ["succeed", "fail", "cancelled", "cancel"])
def test_a_terminal_state_never_changes(queue: JobQueue, end: str) -> None:
    job_id, records = submitted(queue), queue.records
    if end == "cancel":
        records.cancel(job_id)
        lease = Lease(job_id, 0, 30)
    else:
        lease = claimed(queue, job_id)
        ends = {"succeed": (lease, {}), "fail": (lease, BROKEN), "cancelled": (lease,)}
        getattr(records, end)(*ends[end])
    before = queue.get(job_id)
    assert before.status.terminal
    records.succeed(lease, {"other": 1})
    records.fail(lease, JobError(code="other", message="other"))
    records.cancelled(lease)
    records.release(lease)
    records.lost(job_id, token=lease.token, attempts=1)
    records.cancel(job_id)
    assert records.claim(job_id, nonce="z", lease_seconds=30) is None
    assert records.beat(lease) == ("stale" if end == "cancel" else "ended")  # who never held it has ended nothing
    assert queue.get(job_id) == before


def test_a_finish_that_is_sent_twice_is_heard_once(queue: JobQueue) -> None:
    job_id = submitted(queue)
    lease = claimed(queue, job_id)
    assert queue.records.succeed(lease, {"a": 1}) == queue.records.succeed(lease, {"a": 1}) == "held"
    told = [event.message for event in queue.events(job_id).items]
    assert told.count("Job succeeded.") == 1


def test_a_preempted_attempt_is_not_counted(queue: JobQueue) -> None:
    job_id = submitted(queue)
    for number in range(5):
        assert queue.records.release(claimed(queue, job_id, f"w{number}"))
    job = queue.get(job_id)
    assert (job.status, job.attempt, job.token) == (JobStatus.QUEUED, 0, 5)


def test_the_first_loss_starts_again_at_once_the_second_waits_and_the_third_ends_the_job(queue: JobQueue) -> None:
    job_id = submitted(queue)
    first = claimed(queue, job_id, "a")
    assert queue.records.lost(job_id, token=first.token, attempts=3) == "queued"
    second = claimed(queue, job_id, "b")
    assert queue.records.lost(job_id, token=second.token, attempts=3) == "delayed"
    assert queue.records.claim(job_id, nonce="c", lease_seconds=30) is None
    queue.records.client.zrem("zoo:delayed", job_id)
    third = claimed(queue, job_id, "d")
    assert queue.records.lost(job_id, token=third.token, attempts=3) == "ended"
    job = queue.get(job_id)
    assert job.status is JobStatus.FAILED and job.error is not None
    assert (job.error.code, job.attempt) == ("worker_lost", 3)


def test_a_job_that_gets_further_each_time_is_never_given_up(queue: JobQueue) -> None:
    job_id = submitted(queue)
    for number in range(8):
        lease = claimed(queue, job_id, str(number))
        queue.records.checkpoint(lease, number + 1, {})
        assert queue.records.lost(job_id, token=lease.token, attempts=3) == "queued"
    assert queue.get(job_id).attempt == 8


def test_a_job_that_saves_the_same_step_each_time_is_given_up(queue: JobQueue) -> None:
    job_id, outcomes = submitted(queue), []
    for number in range(4):
        lease = claimed(queue, job_id, str(number))
        queue.records.checkpoint(lease, 1, {})
        outcomes.append(queue.records.lost(job_id, token=lease.token, attempts=3))
        queue.records.client.zrem("zoo:delayed", job_id)
    assert outcomes == ["queued", "queued", "delayed", "ended"]


def test_a_lost_job_that_was_to_be_cancelled_is_cancelled(queue: JobQueue) -> None:
    for leave in ("lost", "release"):
        job_id = submitted(queue)
        lease = claimed(queue, job_id)
        queue.cancel(job_id)
        assert queue.records.beat(lease) == "cancel"
        if leave == "lost":
            queue.records.lost(job_id, token=lease.token, attempts=3)
        else:
            queue.records.release(lease)
        assert queue.get(job_id).status is JobStatus.CANCELLED


def test_a_live_lease_is_not_taken_and_an_ended_one_is(queue: JobQueue) -> None:
    job_id = submitted(queue)
    claimed(queue, job_id)
    assert queue.records.lost(job_id, token=None, attempts=3) == "stale"
    queue.records.client.zadd("zoo:leases", {job_id: 1})
    assert queue.records.lost(job_id, token=None, attempts=3) == "queued"


def test_a_job_that_redis_does_not_know_is_gone(queue: JobQueue) -> None:
    assert queue.records.beat(Lease("ftjob-" + "0" * 24, 1, 30)) == "gone"


def test_a_job_that_waits_again_is_lost_to_nobody_until_another_takes_it(queue: JobQueue) -> None:
    job_id = submitted(queue)
    lease = claimed(queue, job_id)
    queue.records.lost(job_id, token=lease.token, attempts=3)
    assert queue.records.beat(lease) == "gone"
    claimed(queue, job_id, "v")
    assert queue.records.beat(lease) == "stale"
