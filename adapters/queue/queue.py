"""The door to the job queue: submit, look, watch, cancel. Every call may raise ``Unavailable`` queue_unavailable."""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from adapters.jobs import Job, JobCheckpoint, JobEvent, JobKind, JobSpec, JobStatus
from adapters.queue import keys
from adapters.queue.connection import connect, reaching
from adapters.queue.dispatch import Dispatcher
from adapters.queue.events import Events, Page, unknown_cursor
from adapters.queue.journal import JOB_ID, Journal
from adapters.queue.records import Record, Records, Submission
from adapters.queue.restore import Restorer
from adapters.queue.workers import WorkerInfo, Workers
from zoo.errors import Conflict, InvalidInput, NotFound, QuotaExceeded, Unavailable
from zoo.settings import Settings

logger = logging.getLogger(__name__)

BATCH = 100
MAX_KEY = 255


@dataclass(frozen=True)
class _Filter:
    kind: JobKind | None
    metadata: Mapping[str, str] | None
    owner: str | None

    def passes(self, job: Job) -> bool:
        if self.kind is not None and job.spec.kind is not self.kind:
            return False
        if self.owner is not None and job.spec.owner != self.owner:
            return False
        theirs = job.spec.metadata or {}
        return all(theirs.get(key) == value for key, value in (self.metadata or {}).items())


class JobQueue:
    """Jobs of one service. Threads may share it; nothing is connected before the first call."""

    def __init__(self, url: str, settings: Settings) -> None:
        self.url = url
        self.settings = settings
        self.journal = Journal(settings.home)
        self._client = connect(url)
        self._bytes = connect(url, text=False)
        self.records = Records(self._client)
        self.dispatcher = Dispatcher(self._bytes)
        self._events = Events(self._client)
        self._workers = Workers(self._client)
        self.restorer = Restorer(self.records, self.journal, self.dispatcher)

    # ---- asking for work

    def submit(self, spec: JobSpec, *, idempotency_key: str | None = None, fingerprint: str = "") -> tuple[Job, bool]:
        """Accept a job; it survives from here on. The flag says that the key had been used and the job is that one.

        Raises ``Unavailable`` queue_full or storage_full, ``QuotaExceeded``, ``InvalidInput`` idempotency_mismatch or
        idempotency_key_invalid.
        """
        submission = Submission(
            self.settings.max_queued_jobs,
            self.settings.max_jobs_per_caller,
            idempotency=_digest(spec.owner, idempotency_key),
            fingerprint=fingerprint,
        )
        self.restorer.ensure()
        answer, job_id = self.records.submit(f"ftjob-{secrets.token_hex(12)}", spec, submission)
        if answer in ("created", "replayed"):
            if answer == "created":
                self._accept(job_id)
            return self.get(job_id), answer == "replayed"
        raise _refusal(answer, self.settings)

    def _accept(self, job_id: str) -> None:
        try:
            self.mirror(job_id)
        except OSError as full:
            self.records.cancel(job_id)
            raise Unavailable(
                "The service's disk has no room for a new job; free some and try again.", code="storage_full"
            ) from full
        try:
            self.dispatcher.send(job_id)
        except Unavailable:
            # The record is there: the janitor sends it as soon as Redis is back.
            logger.warning("job %s is accepted but not dispatched yet", job_id)

    def retry(self, job_id: str) -> Job:
        """Ask for the same work again, as a new job: a finished one never changes.

        Raises ``NotFound``, ``Conflict`` job_not_retryable unless it failed or was cancelled, and what ``submit`` does.
        """
        job = self.get(job_id)
        if job.status not in (JobStatus.FAILED, JobStatus.CANCELLED):
            raise Conflict(
                f"Only a failed or cancelled job can be retried; this one is {job.status.value}.",
                code="job_not_retryable",
            )
        return self.submit(job.spec)[0]

    def cancel(self, job_id: str) -> Job:
        """Cancel at once if it waits; a running job stops within ten seconds. Raises ``NotFound``, ``Conflict``
        job_terminal if it succeeded or failed before."""
        self._known(job_id)
        before = self.records.cancel(job_id)
        if before in (JobStatus.SUCCEEDED, JobStatus.FAILED):
            raise Conflict(f"The job has already {before.value}; it cannot be cancelled.", code="job_terminal")
        if before in (JobStatus.QUEUED, JobStatus.VALIDATING):
            self.dispatcher.withdraw(job_id)
        self.mirror_quietly(job_id)
        return self.get(job_id)

    # ---- looking

    def get(self, job_id: str) -> Job:
        """The job as it is now. Raises ``NotFound``."""
        return self._known(job_id).job

    def _known(self, job_id: str) -> Record:
        if not JOB_ID.fullmatch(job_id):
            raise _no_such_job()
        record = self.records.record(job_id)
        if record is None and self.restorer.restore_one(job_id):
            record = self.records.record(job_id)
        if record is None:
            raise _no_such_job()
        return record

    def list(
        self,
        *,
        after: str | None = None,
        limit: int = 20,
        kind: JobKind | None = None,
        metadata: Mapping[str, str] | None = None,
        owner: str | None = None,
    ) -> Page[Job]:
        """Jobs, newest first, beyond the job ``after``. Raises ``InvalidInput`` for an unknown cursor."""
        self.restorer.ensure()
        start = 0
        if after is not None:
            with reaching():
                rank = cast("int | None", self._client.zrevrank(keys.JOBS, after))
            if rank is None:
                raise unknown_cursor()
            start = rank + 1
        found: list[Job] = []
        for job in self._newest(start):
            if _Filter(kind, metadata, owner).passes(job):
                found.append(job)
            if len(found) > limit:
                break
        return Page(tuple(found[:limit]), len(found) > limit)

    def _newest(self, start: int) -> Iterator[Job]:
        while True:
            with reaching():
                ids = cast("list[str]", self._client.zrevrange(keys.JOBS, start, start + BATCH - 1))
            for record in self.records.records(ids) if ids else []:
                if record is not None:
                    yield record.job
            if len(ids) < BATCH:
                return
            start += BATCH

    def latest_import(self, name: str) -> Job | None:
        """The newest import job for a model name."""
        self.restorer.ensure()
        with reaching():
            job_id = cast("str | None", self._client.hget(keys.IMPORTS, name))
        record = self.records.record(job_id) if job_id else None
        return record.job if record else None

    def events(
        self, job_id: str, *, after: str | None = None, limit: int = 20, newest_first: bool = True
    ) -> Page[JobEvent]:
        """Events of a job. Raises ``NotFound``, ``InvalidInput`` for a foreign cursor."""
        self._known(job_id)
        return self._events.page(job_id, after=after, limit=limit, newest_first=newest_first)

    def checkpoints(self, job_id: str, *, after: str | None = None, limit: int = 10) -> Page[JobCheckpoint]:
        """Checkpoints of a job, newest first. Raises ``NotFound``, ``InvalidInput`` for a foreign cursor."""
        self._known(job_id)
        return self._events.checkpoints(job_id, after=after, limit=limit)

    def watch(self, job_id: str, *, after: str | None = None) -> Iterator[JobEvent]:
        """Every event from the first (or beyond ``after``) as it comes, until the job has ended. Blocks in between.

        Raises ``NotFound`` and ``InvalidInput`` at once, not at the first item.
        """
        self.events(job_id, after=after, limit=1, newest_first=False)
        return self._watch(job_id, after)

    def _watch(self, job_id: str, position: str | None) -> Iterator[JobEvent]:
        while True:
            ended = self.get(job_id).status.terminal
            new = self.events(job_id, after=position, limit=BATCH, newest_first=False).items if ended else ()
            for event in new or (() if ended else self._events.wait(job_id, after=position)):
                position = event.id
                yield event
            if ended and not new:
                return

    def depth(self) -> dict[str, int]:
        """How many jobs are queued and running."""
        with reaching(), self._client.pipeline(transaction=False) as pipeline:
            pipeline.zcard(keys.QUEUED)
            pipeline.zcard(keys.LEASES)
            queued, running = pipeline.execute()
        return {"queued": int(queued), "running": int(running)}

    def refused(self) -> int:
        """How many queue entries were refused because they did not name the one allowed function."""
        with reaching():
            return int(cast("str | None", self._client.get(keys.REFUSED)) or 0)

    def workers(self) -> tuple[WorkerInfo, ...]:
        """Workers that were heard of lately."""
        return self._workers.all()

    def ping(self) -> None:
        """Return if Redis answers, else raise ``Unavailable`` queue_unavailable."""
        with reaching():
            self._client.ping()

    # ---- the journal

    def mirror(self, job_id: str) -> None:
        """Bring the journal of a job up to its record. Raises ``OSError`` if the disk refuses."""
        record = self.records.record(job_id)
        if record is not None:
            self.journal.write(record)
            self.records.journaled(job_id, record.revision)

    def mirror_quietly(self, job_id: str) -> None:
        """As ``mirror``, but leave what fails to the janitor, which tries again in a few seconds."""
        try:
            self.mirror(job_id)
        except (OSError, Unavailable) as failed:
            logger.warning("the journal of job %s is behind: %s", job_id, type(failed).__name__)

    def close(self) -> None:
        """Close all connections."""
        self._client.close()
        self._bytes.close()


def _digest(owner: str, key: str | None) -> str:
    if key is None:
        return ""
    if not key or len(key) > MAX_KEY:
        raise InvalidInput(
            f"The idempotency key must have 1 to {MAX_KEY} characters.",
            code="idempotency_key_invalid",
            param="Idempotency-Key",
        )
    return hashlib.sha256(f"{owner}\0{key}".encode("utf-8", "surrogatepass")).hexdigest()


def _refusal(answer: str, settings: Settings) -> Exception:
    if answer == "mismatch":
        return InvalidInput(
            "This idempotency key was used for another request in the last 24 hours; use a new key.",
            code="idempotency_mismatch",
            param="Idempotency-Key",
        )
    if answer == "quota":
        return QuotaExceeded(
            f"You have {settings.max_jobs_per_caller} jobs waiting or running, the most that one caller may have; "
            "wait for one to end or cancel one.",
            retry_after=30.0,
        )
    return Unavailable(
        f"{settings.max_queued_jobs} jobs are waiting already; try again when some have been worked off.",
        code="queue_full",
        retry_after=30.0,
    )


def _no_such_job() -> NotFound:
    return NotFound("There is no job with this id.", param="id")
