"""Job records in Redis: the truth about every job. Reads are plain, writes are the scripts of ``transitions``."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

import redis

from adapters.jobs import Job, JobError, JobKind, JobSpec, JobStatus, Progress
from adapters.queue import keys
from adapters.queue.connection import reaching
from adapters.queue.transitions import SCRIPTS

Verdict = Literal["held", "cancel", "stale", "gone", "ended"]
"""What the holder of a token hears: it holds the job; shall cancel it; has lost it to another; or has lost it to nobody
(it waits again, or Redis was emptied)."""

BACKOFF_SECONDS = (10.0, 60.0, 300.0)
WORKER_LOST = JobError(
    code="worker_lost",
    message="The job ended several times with its worker process and got no further; it may need more memory than the "
    "worker has. Try a smaller batch size or a smaller model, then retry the job.",
)


@dataclass(frozen=True)
class Lease:
    """Proof of one claim: the job, its token, and for how many seconds each renewal holds."""

    job_id: str
    token: int
    seconds: float


@dataclass(frozen=True)
class Submission:
    """What the answer to a request for a job depends on besides its spec."""

    max_queued: int
    max_per_owner: int
    idempotency: str = ""  # digest of owner and key; empty: none
    fingerprint: str = ""


@dataclass(frozen=True)
class Record:
    """A job with what only the queue needs to know about it; the journal holds the same."""

    job: Job
    revision: int
    tries: int = 0  # attempts in a row that ended without a new checkpoint
    mark: int = -1  # furthest step checkpointed
    idempotency: str = ""
    fingerprint: str = ""


def micros(seconds: float) -> str:
    """Seconds as whole microseconds, the unit of the scripts."""
    return str(round(seconds * 1_000_000))


def seconds(value: str | None) -> float | None:
    """Microseconds of a script as seconds."""
    return None if not value else int(value) / 1_000_000


def import_name(spec: JobSpec) -> str:
    """The name an import publishes under; empty for other kinds."""
    return spec.model if spec.kind is JobKind.IMPORT else ""


class Records:
    """All reads and moves of job records over one client; safe to share between threads."""

    def __init__(self, client: redis.Redis) -> None:
        self.client = client
        self._scripts = {name: client.register_script(text) for name, text in SCRIPTS.items()}

    def _run(self, script: str, job_id: str, *arguments: str | int) -> Any:
        with reaching():
            return self._scripts[script](keys=[keys.PREFIX], args=[job_id, *arguments])

    # ---- reads

    def record(self, job_id: str) -> Record | None:
        """The record of a job, or None if Redis does not know it."""
        return self.records([job_id])[0]

    def records(self, job_ids: Iterable[str]) -> list[Record | None]:
        """Records in the order of the ids, in one round trip."""
        wanted = list(job_ids)
        with reaching(), self.client.pipeline(transaction=False) as pipeline:
            for job_id in wanted:
                pipeline.hgetall(keys.job(job_id))
            found = pipeline.execute()
        return [_decoded(job_id, fields) if fields else None for job_id, fields in zip(wanted, found, strict=True)]

    def status(self, job_id: str) -> JobStatus | None:
        """The state of a job alone."""
        with reaching():
            status = cast("str | None", self.client.hget(keys.job(job_id), "status"))
        return JobStatus(status) if status else None

    # ---- moves by the service

    def submit(self, job_id: str, spec: JobSpec, submission: Submission) -> tuple[str, str]:
        """Create a queued job: ``(created | replayed | mismatch | full | quota, id)``."""
        answer, known = self._run(
            "submit",
            job_id,
            spec.model_dump_json(),
            spec.kind.value,
            spec.owner,
            submission.max_queued,
            submission.max_per_owner,
            submission.idempotency,
            submission.fingerprint,
            import_name(spec),
        )
        return str(answer), str(known)

    def cancel(self, job_id: str) -> JobStatus | None:
        """Cancel a waiting job, flag a running one; returns the state before, None if there is no such job."""
        before = self._run("cancel", job_id)
        return None if before == "gone" else JobStatus(before)

    def restore(self, record: Record) -> Literal["known", "restored", "queued"]:
        """Put a record back that Redis lost, or lost the last moves of; an unfinished one waits under a new token."""
        job = record.job
        fields = _encoded(record)
        age = _server_time(self.client) - job.created_at
        flat = [part for field, value in fields.items() for part in (field, value)]
        answer = self._run(
            "restore",
            job.id,
            micros(job.created_at),
            job.spec.owner,
            "finished" if job.status.terminal else "unfinished",
            record.idempotency,
            record.fingerprint,
            import_name(job.spec),
            max(0, int(age)),
            record.revision,
            *flat,
        )
        return cast(Literal["known", "restored", "queued"], answer)

    def journaled(self, job_id: str, revision: int) -> None:
        """Note that the journal holds this revision."""
        self._run("journaled", job_id, revision)

    # ---- moves by a worker

    def claim(self, job_id: str, *, nonce: str, lease_seconds: float, journaled: Record | None = None) -> Lease | None:
        """Take a waiting job: counts an attempt and fences every older one. None if it may not start (any more).

        The token is newer than that of ``journaled`` too, in case Redis has lost a claim.
        """
        floor = (journaled.job.token, journaled.revision) if journaled else (0, 0)
        answer, token = self._run("claim", job_id, nonce, micros(lease_seconds), *floor)
        return Lease(job_id, int(token), lease_seconds) if answer == "claimed" else None

    def beat(self, lease: Lease) -> Verdict:
        """Renew the lease."""
        return self._beat(lease, "", "", "")

    def progress(self, lease: Lease, progress: Progress, *, message: str = "", data: Mapping[str, Any]) -> Verdict:
        """Renew the lease and write progress; with a ``message`` also as an event of type metrics."""
        return self._beat(lease, progress.model_dump_json(), message, json.dumps(data))

    def _beat(self, lease: Lease, progress: str, message: str, data: str) -> Verdict:
        answer = self._run("beat", lease.job_id, lease.token, micros(lease.seconds), progress, message, data)
        return cast(Verdict, answer)

    def event(self, lease: Lease, message: str, *, level: str, data: Mapping[str, Any]) -> Verdict:
        """Append an event."""
        kind = "metrics" if data else "message"
        return cast(
            Verdict, self._run("event", lease.job_id, lease.token, level, message, kind, json.dumps(data, default=str))
        )

    def checkpoint(self, lease: Lease, step: int, metrics: Mapping[str, float]) -> Verdict:
        """List a checkpoint; a step further than any before clears the count of fruitless attempts."""
        return cast(Verdict, self._run("checkpoint", lease.job_id, lease.token, step, json.dumps(metrics)))

    def succeed(self, lease: Lease, result: Mapping[str, Any], progress: Progress | None = None) -> Verdict:
        """running -> succeeded."""
        last = progress.model_dump_json() if progress else ""
        return self._finish(lease, JobStatus.SUCCEEDED, json.dumps(result), "", (last, "info", "Job succeeded."))

    def fail(self, lease: Lease, failure: JobError) -> Verdict:
        """running -> failed."""
        text = f"Job failed: {failure.message}"
        return self._finish(lease, JobStatus.FAILED, "", failure.model_dump_json(), ("", "error", text))

    def cancelled(self, lease: Lease) -> Verdict:
        """running -> cancelled."""
        return self._finish(lease, JobStatus.CANCELLED, "", "", ("", "info", "Job cancelled."))

    def _finish(
        self, lease: Lease, status: JobStatus, result: str, failure: str, rest: tuple[str, str, str]
    ) -> Verdict:
        return cast(Verdict, self._run("finish", lease.job_id, lease.token, status.value, result, failure, *rest))

    def release(self, lease: Lease, *, why: str = "the worker shuts down") -> bool:
        """running -> queued without counting the attempt; False if it was no longer ours."""
        message = f"Back in the queue, because {why}; the job goes on from its last checkpoint."
        return bool(self._run("release", lease.job_id, lease.token, message) != "stale")

    def lost(self, job_id: str, *, token: int | None, attempts: int) -> str:
        """running -> queued or failed after its process died; without ``token`` only if the lease has run out.

        Returns queued, delayed, ended or stale.
        """
        jitter = random.uniform(0.8, 1.2)
        delays = [micros(delay * jitter) for delay in BACKOFF_SECONDS]
        expired, held = ("1", 0) if token is None else ("0", token)
        failure = WORKER_LOST.model_dump_json()
        return str(self._run("lost", job_id, held, expired, attempts, failure, *delays))


def _server_time(client: redis.Redis) -> float:
    with reaching():
        whole, fraction = client.time()
    return whole + fraction / 1_000_000


def _decoded(job_id: str, fields: Mapping[str, str]) -> Record | None:
    if "spec" not in fields:
        return None
    result, failure = fields.get("result"), fields.get("error")
    job = Job(
        id=job_id,
        spec=JobSpec.model_validate_json(fields["spec"]),
        status=JobStatus(fields["status"]),
        created_at=seconds(fields["created_at"]) or 0.0,
        started_at=seconds(fields.get("started_at")),
        finished_at=seconds(fields.get("finished_at")),
        attempt=int(fields.get("attempt", 0)),
        token=int(fields.get("token", 0)),
        cancel_requested=fields.get("cancel") == "1",
        progress=Progress.model_validate_json(fields["progress"]) if fields.get("progress") else Progress(),
        result=json.loads(result) if result else None,
        error=JobError.model_validate_json(failure) if failure else None,
    )
    return Record(
        job,
        int(fields.get("rev", 0)),
        tries=int(fields.get("tries", 0)),
        mark=int(fields.get("mark", -1)),
        idempotency=fields.get("digest", ""),
        fingerprint=fields.get("fingerprint", ""),
    )


def _encoded(record: Record) -> dict[str, str]:
    job = record.job
    fields = {
        "spec": job.spec.model_dump_json(),
        "kind": job.spec.kind.value,
        "owner": job.spec.owner,
        "status": job.status.value,
        "created_at": micros(job.created_at),
        "attempt": str(job.attempt),
        "token": str(job.token),
        "cancel": "1" if job.cancel_requested else "0",
        "progress": job.progress.model_dump_json(),
        "rev": str(record.revision),
        "tries": str(record.tries),
        "mark": str(record.mark),
        "digest": record.idempotency,
        "fingerprint": record.fingerprint,
    }
    for name, moment in (("started_at", job.started_at), ("finished_at", job.finished_at)):
        if moment is not None:
            fields[name] = micros(moment)
    if job.result is not None:
        fields["result"] = json.dumps(job.result)
    if job.error is not None:
        fields["error"] = job.error.model_dump_json()
    return fields
