"""The janitor finds what dead processes left behind, and touches nothing else."""

from __future__ import annotations

from adapters.jobs import JobKind, JobSpec, JobStatus
from adapters.queue import Janitor
from tests.adapters.queue.machine import Machine, eventually

ADAPT = JobSpec(kind=JobKind.ADAPT, model="m")


def submitted(machine: Machine) -> str:
    job_id = machine.queue.submit(ADAPT)[0].id
    machine.redis.zadd("zoo:queued", {job_id: 1})  # as if it had waited for long
    return job_id


def test_a_job_whose_lease_has_run_out_is_queued_and_sent(machine: Machine) -> None:
    job_id = submitted(machine)
    machine.queue.dispatcher.withdraw(job_id)
    machine.queue.records.claim(job_id, nonce="w", lease_seconds=30)
    machine.redis.zadd("zoo:leases", {job_id: 1})  # as if it had run out
    janitor = Janitor(machine.queue)
    janitor.sweep()
    assert machine.queue.get(job_id).status is JobStatus.QUEUED
    machine.redis.zadd("zoo:queued", {job_id: 1})
    janitor.sweep()
    assert machine.queue.dispatcher.sent() == {job_id}


def test_a_job_with_a_live_lease_is_left_alone(machine: Machine) -> None:
    job_id = submitted(machine)
    machine.queue.records.claim(job_id, nonce="w", lease_seconds=30)
    before = machine.queue.get(job_id)
    Janitor(machine.queue).sweep()
    assert machine.queue.get(job_id) == before


def test_an_accepted_job_that_was_never_dispatched_is_sent(machine: Machine) -> None:
    job_id = submitted(machine)
    machine.queue.dispatcher.withdraw(job_id)
    Janitor(machine.queue).sweep()
    assert machine.queue.dispatcher.sent() == {job_id}


def test_a_job_that_waits_in_the_queue_is_not_sent_again(machine: Machine) -> None:
    submitted(machine)
    Janitor(machine.queue).sweep()
    assert machine.redis.llen("rq:queue:train") == 1


def test_an_entry_whose_rq_hash_is_gone_is_sent_again(machine: Machine) -> None:
    job_id = submitted(machine)
    machine.redis.delete(f"rq:job:{job_id}")
    Janitor(machine.queue).sweep()
    assert machine.queue.dispatcher.sent() == {job_id}


def test_an_entry_popped_by_a_worker_that_died_is_cleared_away_and_sent_again(machine: Machine) -> None:
    job_id = submitted(machine)
    machine.redis.lmove("rq:queue:train", "rq:queue:train:intermediate")
    janitor = Janitor(machine.queue)
    janitor.sweep()
    janitor.sweep()
    assert machine.queue.dispatcher.popped() == frozenset()
    janitor.sweep()
    assert machine.queue.dispatcher.sent() == {job_id}


def test_a_delayed_job_is_sent_when_its_time_has_come_and_not_before(machine: Machine) -> None:
    job_id = submitted(machine)
    machine.queue.dispatcher.withdraw(job_id)
    janitor = Janitor(machine.queue)
    machine.redis.zadd("zoo:delayed", {job_id: 4_000_000_000_000_000})
    janitor.sweep()
    assert machine.queue.dispatcher.sent() == frozenset()
    machine.redis.zadd("zoo:delayed", {job_id: 1})
    janitor.sweep()
    assert machine.queue.dispatcher.sent() == {job_id}
    assert machine.queue.records.claim(job_id, nonce="w", lease_seconds=30) is not None


def test_the_thread_sweeps_until_it_is_stopped(machine: Machine) -> None:
    job_id = submitted(machine)
    machine.queue.records.claim(job_id, nonce="w", lease_seconds=30)
    machine.redis.zadd("zoo:leases", {job_id: 1})  # as if it had run out
    janitor = Janitor(machine.queue, interval=0.02)
    janitor.start()
    eventually(lambda: machine.queue.get(job_id).status is JobStatus.QUEUED)
    janitor.stop()


def test_several_janitors_take_turns_under_one_lock(machine: Machine) -> None:
    machine.redis.set("zoo:janitor", "another")
    job_id = submitted(machine)
    machine.queue.records.claim(job_id, nonce="w", lease_seconds=30)
    machine.redis.zadd("zoo:leases", {job_id: 1})  # as if it had run out
    janitor = Janitor(machine.queue, interval=0.01)
    janitor.start()
    machine.redis.blpop(["nothing"], timeout=0.1)
    assert machine.queue.get(job_id).status is JobStatus.RUNNING
    machine.redis.delete("zoo:janitor")
    eventually(lambda: machine.queue.get(job_id).status is JobStatus.QUEUED)
    janitor.stop()
