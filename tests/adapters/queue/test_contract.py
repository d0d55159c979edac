"""What any implementation of the job queue has to promise its callers, through its door alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.jobs import Hyperparameters, JobKind, JobSpec, JobStatus
from adapters.queue import JobQueue
from tests.adapters.queue.machine import Machine, in_parallel, settings_for
from zoo.errors import Conflict, InvalidInput, NotFound, QuotaExceeded, Unavailable

UNKNOWN = "ftjob-" + "0" * 24


def spec(**changes: object) -> JobSpec:
    return JobSpec.model_validate({"kind": "adapt", "model": "minilm", "training_file": "file-1", **changes})


def test_a_submitted_job_is_queued_and_found_again(queue: JobQueue) -> None:
    asked = spec(hyperparameters=Hyperparameters(n_epochs=3), metadata={"team": "a"})
    job, replayed = queue.submit(asked)
    assert not replayed
    assert (job.status, job.spec, job.attempt) == (JobStatus.QUEUED, asked, 0)
    assert queue.get(job.id) == job
    assert queue.depth() == {"queued": 1, "running": 0}


@pytest.mark.parametrize("job_id", [UNKNOWN, "", "ftjob-1", "../../etc/passwd", "ftjob-" + "A" * 24, "a\0b"])
def test_unknown_and_malformed_ids_are_not_found(queue: JobQueue, job_id: str) -> None:
    for call in (queue.get, queue.cancel, queue.retry, queue.events, queue.checkpoints, queue.watch):
        with pytest.raises(NotFound):
            call(job_id)


def test_the_same_idempotency_key_gives_the_same_job(queue: JobQueue) -> None:
    first, replayed_first = queue.submit(spec(), idempotency_key="k", fingerprint="f")
    again, replayed = queue.submit(spec(), idempotency_key="k", fingerprint="f")
    assert (again.id, replayed_first, replayed) == (first.id, False, True)


def test_an_idempotency_key_with_another_request_is_refused(queue: JobQueue) -> None:
    queue.submit(spec(), idempotency_key="k", fingerprint="f")
    with pytest.raises(InvalidInput) as caught:
        queue.submit(spec(), idempotency_key="k", fingerprint="g")
    assert caught.value.code == "idempotency_mismatch"


def test_callers_do_not_share_idempotency_keys(queue: JobQueue) -> None:
    mine, _ = queue.submit(spec(owner="a"), idempotency_key="k", fingerprint="f")
    theirs, replayed = queue.submit(spec(owner="b"), idempotency_key="k", fingerprint="g")
    assert theirs.id != mine.id and not replayed


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_an_idempotency_key_of_a_wrong_length_is_refused(queue: JobQueue, key: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        queue.submit(spec(), idempotency_key=key)
    assert caught.value.code == "idempotency_key_invalid"
    assert queue.depth()["queued"] == 0


def test_fifty_parallel_requests_with_one_key_make_exactly_one_job(queue: JobQueue) -> None:
    answers: list[tuple[str, bool]] = []

    def submit() -> None:
        job, replayed = queue.submit(spec(), idempotency_key="k", fingerprint="f")
        answers.append((job.id, replayed))

    in_parallel(50, submit)
    assert len(answers) == 50
    assert len({job_id for job_id, _ in answers}) == 1
    assert [replayed for _, replayed in answers].count(False) == 1
    assert len(queue.list(limit=100).items) == 1


def test_one_job_more_than_the_queue_holds_is_refused(machine: Machine) -> None:
    queue = machine.configure(max_queued_jobs=2)
    for owner in "ab":
        queue.submit(spec(owner=owner))
    with pytest.raises(Unavailable) as caught:
        queue.submit(spec(owner="c"))
    assert caught.value.code == "queue_full" and caught.value.retry_after > 0
    assert len(queue.list().items) == 2


def test_one_job_more_than_a_caller_may_have_is_refused_and_others_are_not(machine: Machine) -> None:
    queue = machine.configure(max_jobs_per_caller=2)
    first, _ = queue.submit(spec(owner="a"))
    queue.submit(spec(owner="a"))
    with pytest.raises(QuotaExceeded) as caught:
        queue.submit(spec(owner="a"))
    assert caught.value.code == "quota_exceeded"
    queue.submit(spec(owner="b"))
    queue.cancel(first.id)
    queue.submit(spec(owner="a"))


def test_parallel_requests_never_pass_the_limit(machine: Machine) -> None:
    queue = machine.configure(max_queued_jobs=5)
    refused: list[str] = []

    def submit() -> None:
        try:
            queue.submit(spec())
        except Unavailable as full:
            refused.append(full.code)

    in_parallel(20, submit)
    assert refused == ["queue_full"] * 15
    assert queue.depth()["queued"] == 5


def test_a_waiting_job_is_cancelled_at_once_and_stays_cancelled(queue: JobQueue) -> None:
    job, _ = queue.submit(spec())
    cancelled = queue.cancel(job.id)
    assert cancelled.status is JobStatus.CANCELLED and cancelled.finished_at is not None
    assert queue.cancel(job.id) == cancelled
    assert queue.depth() == {"queued": 0, "running": 0}


def test_a_running_job_is_flagged_for_cancellation_as_often_as_asked(queue: JobQueue) -> None:
    job, _ = queue.submit(spec())
    queue.records.claim(job.id, nonce="w", lease_seconds=30)
    for _ in range(2):
        asked = queue.cancel(job.id)
        assert (asked.status, asked.cancel_requested) == (JobStatus.RUNNING, True)
    messages = [event.message for event in queue.events(job.id).items]
    assert messages.count("Cancellation requested.") == 1


def test_a_finished_job_cannot_be_cancelled(queue: JobQueue) -> None:
    job, _ = queue.submit(spec())
    lease = queue.records.claim(job.id, nonce="w", lease_seconds=30)
    assert lease is not None
    queue.records.succeed(lease, {"fine_tuned_model": "x@1"})
    with pytest.raises(Conflict) as caught:
        queue.cancel(job.id)
    assert caught.value.code == "job_terminal"
    assert queue.get(job.id).result == {"fine_tuned_model": "x@1"}


def test_a_retry_is_a_new_job_with_the_same_wish(queue: JobQueue) -> None:
    job, _ = queue.submit(spec(seed=7))
    with pytest.raises(Conflict):
        queue.retry(job.id)
    queue.cancel(job.id)
    again = queue.retry(job.id)
    assert again.id != job.id
    assert (again.spec, again.status) == (job.spec, JobStatus.QUEUED)
    assert queue.get(job.id).status is JobStatus.CANCELLED


def test_jobs_are_listed_newest_first_in_pages(queue: JobQueue) -> None:
    ids = [queue.submit(spec())[0].id for _ in range(5)]
    first = queue.list(limit=2)
    second = queue.list(limit=2, after=first.items[-1].id)
    last = queue.list(limit=2, after=second.items[-1].id)
    assert [job.id for page in (first, second, last) for job in page.items] == ids[::-1]
    assert [page.has_more for page in (first, second, last)] == [True, True, False]


def test_listings_filter_by_kind_owner_and_metadata(queue: JobQueue) -> None:
    plain, _ = queue.submit(spec())
    tagged, _ = queue.submit(spec(metadata={"team": "a", "run": "1"}, owner="x"))
    pull, _ = queue.submit(JobSpec(kind=JobKind.IMPORT, model="minilm"))
    assert [job.id for job in queue.list(kind=JobKind.IMPORT).items] == [pull.id]
    assert [job.id for job in queue.list(owner="x").items] == [tagged.id]
    assert [job.id for job in queue.list(metadata={"team": "a"}).items] == [tagged.id]
    assert [job.id for job in queue.list(kind=JobKind.ADAPT, owner="local").items] == [plain.id]
    assert queue.list(metadata={"team": "b"}).items == ()


def test_a_listing_refuses_a_cursor_that_it_did_not_give(queue: JobQueue) -> None:
    with pytest.raises(InvalidInput):
        queue.list(after=UNKNOWN)


def test_the_newest_import_of_a_name_is_found(queue: JobQueue) -> None:
    assert queue.latest_import("minilm") is None
    queue.submit(JobSpec(kind=JobKind.IMPORT, model="minilm"))
    newest, _ = queue.submit(JobSpec(kind=JobKind.IMPORT, model="minilm"))
    queue.submit(JobSpec(kind=JobKind.IMPORT, model="other"))
    assert queue.latest_import("minilm") == newest


def test_events_come_in_both_orders_and_in_pages(queue: JobQueue) -> None:
    job, _ = queue.submit(spec())
    lease = queue.records.claim(job.id, nonce="w", lease_seconds=30)
    assert lease is not None
    queue.records.event(lease, "half way", level="warn", data={"loss": 0.5})
    told = ["Job created.", "Attempt 1 started.", "half way"]
    assert [event.message for event in queue.events(job.id, newest_first=False).items] == told
    page = queue.events(job.id, limit=2)
    assert [event.message for event in page.items] == told[:0:-1] and page.has_more
    rest = queue.events(job.id, limit=2, after=page.items[-1].id)
    assert [event.message for event in rest.items] == told[:1] and not rest.has_more
    assert (page.items[0].level, page.items[0].type, page.items[0].data) == ("warn", "metrics", {"loss": 0.5})


CURSORS_OF_NO_LIST = [
    "x",
    "",
    "1",
    "-",
    "(1-1",
    "0-0",
    "00-0",
    "99999999999999999999999-1",
    "99999999999999999999-0",
    "0-99999999999999999999",
    "18446744073709551616-0",
    "\u0661\u0662-\u0660",  # 12-0 in the digits of Arabic
]


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize("cursor", CURSORS_OF_NO_LIST)
def test_events_refuse_a_cursor_that_is_none(queue: JobQueue, cursor: str, newest_first: bool) -> None:
    job, _ = queue.submit(spec())
    with pytest.raises(InvalidInput) as caught:
        queue.events(job.id, after=cursor, newest_first=newest_first)
    assert caught.value.param == "after"


def test_events_refuse_the_last_id_there_can_be_where_nothing_is_beyond_it(queue: JobQueue) -> None:
    job, _ = queue.submit(spec())
    last = "18446744073709551615-18446744073709551615"
    assert len(queue.events(job.id, after=last).items) == 1
    with pytest.raises(InvalidInput):
        queue.events(job.id, after=last, newest_first=False)


def test_checkpoints_are_listed_newest_first_in_pages(queue: JobQueue) -> None:
    job, _ = queue.submit(spec())
    lease = queue.records.claim(job.id, nonce="w", lease_seconds=30)
    assert lease is not None
    for step in (10, 20, 30):
        queue.records.checkpoint(lease, step, {"loss": 1 / step})
    page = queue.checkpoints(job.id, limit=2)
    assert [(c.step, c.metrics["loss"]) for c in page.items] == [(30, 1 / 30), (20, 0.05)] and page.has_more
    assert [c.step for c in queue.checkpoints(job.id, after=page.items[-1].id).items] == [10]
    with pytest.raises(InvalidInput):
        queue.checkpoints(job.id, after="ftckpt-0")


def test_a_watcher_sees_the_whole_story_and_then_the_end(queue: JobQueue) -> None:
    job, _ = queue.submit(spec())
    story = queue.watch(job.id)
    assert next(story).message == "Job created."
    queue.cancel(job.id)
    assert [event.message for event in story] == ["Job cancelled before it started."]
    late = list(queue.watch(job.id))
    assert len(late) == 2
    assert [event.id for event in queue.watch(job.id, after=late[0].id)] == [late[1].id]


def test_every_call_says_that_the_queue_is_away(tmp_path: Path) -> None:
    queue = JobQueue(f"unix://{tmp_path}/nothing.sock", settings_for(tmp_path))
    calls = (
        lambda: queue.submit(spec()),
        lambda: queue.get(UNKNOWN),
        lambda: queue.list(),
        lambda: queue.events(UNKNOWN),
        lambda: queue.checkpoints(UNKNOWN),
        lambda: queue.watch(UNKNOWN),
        lambda: queue.cancel(UNKNOWN),
        lambda: queue.retry(UNKNOWN),
        lambda: queue.latest_import("x"),
        lambda: queue.depth(),
        lambda: queue.workers(),
        lambda: queue.ping(),
    )
    for call in calls:
        with pytest.raises(Unavailable) as caught:
            call()
        assert (caught.value.code, caught.value.retry_after) == ("queue_unavailable", 5.0)
    queue.close()


def test_a_full_server_refuses_new_jobs_and_still_answers(machine: Machine) -> None:
    job, _ = machine.queue.submit(spec())
    machine.redis.config_set("maxmemory", "1")
    try:
        with pytest.raises(Unavailable) as caught:
            machine.queue.submit(spec())
        assert caught.value.code == "storage_full"
        assert machine.queue.get(job.id).id == job.id
    finally:
        machine.redis.config_set("maxmemory", "256mb")


def test_a_disk_that_takes_no_journal_refuses_the_job(machine: Machine) -> None:
    (machine.home / "jobs").write_text("not a folder")
    with pytest.raises(Unavailable) as caught:
        machine.queue.submit(spec())
    assert caught.value.code == "storage_full"
    assert machine.queue.depth()["queued"] == 0
