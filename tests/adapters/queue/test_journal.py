"""Redis loses its memory; the journal on disk does not."""

from __future__ import annotations

from adapters.jobs import JobKind, JobSpec, JobStatus
from adapters.queue import Janitor, JobQueue
from adapters.queue.journal import Journal
from tests.adapters.queue.machine import Machine

ADAPT = JobSpec(kind=JobKind.ADAPT, model="m")


def finished(queue: JobQueue) -> str:
    job_id = queue.submit(ADAPT)[0].id
    lease = queue.records.claim(job_id, nonce="w", lease_seconds=30)
    assert lease is not None
    queue.records.succeed(lease, {"fine_tuned_model": "m@1"})
    queue.mirror(job_id)
    return job_id


def test_after_flushall_finished_jobs_are_as_they_were(machine: Machine) -> None:
    before = machine.queue.get(finished(machine.queue))
    machine.redis.flushall()
    assert machine.queue.get(before.id) == before
    machine.redis.flushall()
    assert machine.queue.list().items == (before,)


def test_after_flushall_unfinished_jobs_wait_again_and_their_old_attempts_are_fenced(machine: Machine) -> None:
    queue = machine.queue
    waiting = queue.submit(ADAPT)[0].id
    running = queue.submit(ADAPT)[0].id
    lease = queue.records.claim(running, nonce="w", lease_seconds=30)
    assert lease is not None
    queue.mirror(running)
    machine.redis.flushall()
    assert queue.records.beat(lease) == "gone"
    Janitor(queue).sweep()
    assert [(job.id, job.status) for job in queue.list().items] == [
        (running, JobStatus.QUEUED),
        (waiting, JobStatus.QUEUED),
    ]
    assert queue.get(running).token > lease.token
    assert queue.records.beat(lease) == "gone"
    assert queue.records.succeed(lease, {}) == "stale"


def test_after_flushall_restored_jobs_are_sent_to_workers_again(machine: Machine) -> None:
    job_id = machine.queue.submit(ADAPT)[0].id
    machine.redis.flushall()
    machine.queue.list()
    assert machine.queue.dispatcher.sent() == {job_id}


def test_after_flushall_an_idempotency_key_still_finds_its_job(machine: Machine) -> None:
    first, _ = machine.queue.submit(ADAPT, idempotency_key="k", fingerprint="f")
    machine.redis.flushall()
    again, replayed = machine.queue.submit(ADAPT, idempotency_key="k", fingerprint="f")
    assert (again.id, replayed) == (first.id, True)


def test_after_flushall_the_newest_import_is_found(machine: Machine) -> None:
    pull = JobSpec(kind=JobKind.IMPORT, model="minilm")
    machine.queue.submit(pull)
    newest, _ = machine.queue.submit(pull)
    machine.redis.flushall()
    found = machine.queue.latest_import("minilm")
    assert found is not None and found.id == newest.id


def test_a_single_lost_record_is_answered_from_the_journal(machine: Machine) -> None:
    before = machine.queue.get(finished(machine.queue))
    machine.redis.delete(f"zoo:job:{before.id}")
    assert machine.queue.get(before.id) == before


def test_the_last_moves_that_redis_lost_are_restored_from_the_journal(machine: Machine) -> None:
    queue = machine.queue
    job_id = queue.submit(ADAPT)[0].id
    earlier = machine.redis.dump(f"zoo:job:{job_id}")
    lease = queue.records.claim(job_id, nonce="w", lease_seconds=30)
    assert lease is not None
    queue.records.succeed(lease, {"fine_tuned_model": "m@1"})
    queue.mirror(job_id)
    before = queue.get(job_id)
    assert earlier is not None
    machine.redis.restore(f"zoo:job:{job_id}", 0, earlier, replace=True)
    machine.redis.zadd("zoo:queued", {job_id: 1})
    Janitor(queue).sweep()
    assert queue.get(job_id) == before
    assert queue.depth() == {"queued": 0, "running": 0}


def test_a_claim_that_redis_lost_is_never_given_out_again(machine: Machine) -> None:
    queue = machine.queue
    job_id = queue.submit(ADAPT)[0].id
    earlier = machine.redis.dump(f"zoo:job:{job_id}")
    old = queue.records.claim(job_id, nonce="w", lease_seconds=30)
    queue.mirror(job_id)
    assert earlier is not None
    machine.redis.restore(f"zoo:job:{job_id}", 0, earlier, replace=True)
    new = queue.records.claim(job_id, nonce="v", lease_seconds=30, journaled=queue.journal.read(job_id))
    assert old is not None and new is not None
    assert new.token > old.token
    assert queue.records.beat(old) == "stale"
    queue.mirror(job_id)
    kept = queue.journal.read(job_id)
    assert kept is not None and kept.job.token == new.token


def test_a_broken_journal_is_left_out_and_hurts_no_other(machine: Machine) -> None:
    good, bad = finished(machine.queue), finished(machine.queue)
    (machine.home / "jobs" / bad / "job.json").write_text('{"revision": ')
    machine.redis.flushall()
    assert [job.id for job in machine.queue.list().items] == [good]


def test_an_older_revision_never_replaces_a_newer_one(machine: Machine) -> None:
    job_id = machine.queue.submit(ADAPT)[0].id
    old = machine.queue.records.record(job_id)
    machine.queue.cancel(job_id)
    assert old is not None
    journal = Journal(machine.home)
    journal.write(old)
    kept = journal.read(job_id)
    assert kept is not None and kept.job.status is JobStatus.CANCELLED


def test_a_journal_that_fell_behind_is_caught_up_by_the_janitor(machine: Machine) -> None:
    job_id = machine.queue.submit(ADAPT)[0].id
    machine.queue.records.cancel(job_id)
    Janitor(machine.queue).sweep()
    kept = machine.queue.journal.read(job_id)
    assert kept is not None and kept.job.status is JobStatus.CANCELLED
    assert machine.redis.smembers("zoo:dirty") == set()


def test_no_half_written_journal_is_left_behind(machine: Machine) -> None:
    job_id = finished(machine.queue)
    names = {path.name for path in (machine.home / "jobs" / job_id).iterdir()}
    assert names <= {"job.json", ".job.lock"}
