"""rq as the dispatcher, and nothing more: it carries the ids of waiting jobs to workers. Its status is never read.

Whoever can write to Redis can put any function name into an rq job, so an entry is never executed by rq: the worker
checks that it names the one allowed function, takes the job id out of it and claims our own record.
"""

from __future__ import annotations

import logging
from typing import Any, cast

import redis
import rq
from rq.job import Job as RqJob
from rq.serializers import JSONSerializer

from adapters.queue import keys
from adapters.queue.connection import reaching
from adapters.queue.journal import JOB_ID

logger = logging.getLogger(__name__)

ALLOWED = frozenset({"adapters.worker.run_job"})
RUN_JOB = "adapters.worker.run_job"


class ForeignFunction(Exception):
    """A queue entry that is not a call of the one allowed function with one job id."""


class DispatchedJob(RqJob):  # type: ignore[misc]
    """An rq job that refuses to be anything but ``run_job(<job id>)``."""

    @property
    def func_name(self) -> str:
        """The function's name. Raises ``ForeignFunction`` unless it is on the allow-list."""
        name = super().func_name
        if name not in ALLOWED:
            raise ForeignFunction(f"the queue entry names a function that is not allowed: {str(name)[:80]!r}")
        return str(name)

    @property
    def job_id(self) -> str:
        """The id of our job. Raises ``ForeignFunction`` for any other call."""
        if self.func_name not in ALLOWED or self.instance or self.kwargs or len(self.args) != 1:
            raise ForeignFunction("the queue entry does not call run_job with one job id")
        (job_id,) = self.args
        if not isinstance(job_id, str) or not JOB_ID.fullmatch(job_id):
            raise ForeignFunction("the queue entry does not carry a job id")
        return job_id

    def perform(self) -> Any:
        """Never run by rq."""
        raise ForeignFunction("queue entries are not executed by rq")


class Dispatcher:
    """Puts ids of waiting jobs into the rq queue and takes used or broken entries out."""

    def __init__(self, client: redis.Redis) -> None:
        """``client`` must not decode answers: rq works on bytes."""
        self.client = client
        self.queue = rq.Queue(keys.QUEUE, connection=client, job_class=DispatchedJob, serializer=JSONSerializer)

    def send(self, job_id: str) -> None:
        """Enqueue one call. A second entry for the same job does no harm: only one claim succeeds."""
        with reaching():
            self.queue.enqueue_call(
                RUN_JOB, args=(job_id,), job_id=job_id, result_ttl=-1, timeout=-1, description=f"job {job_id}"
            )

    def drop(self, entry_id: str) -> None:
        """Remove an entry that was popped (or is refused), with all that rq keeps for it."""
        with reaching(), self.client.pipeline() as pipeline:
            pipeline.lrem(self.queue.intermediate_queue_key, 0, entry_id)
            pipeline.delete(RqJob.key_for(entry_id))
            pipeline.execute()

    def withdraw(self, job_id: str) -> None:
        """Remove a job that still waits."""
        with reaching():
            self.client.lrem(self.queue.key, 0, job_id)
        self.drop(job_id)

    def refuse(self, entry_id: str, reason: BaseException) -> None:
        """Drop a foreign entry, count it and say so in the log."""
        logger.error("refused a queue entry (nothing was run): %s", str(reason)[:200])
        with reaching():
            self.client.incr(keys.REFUSED)
        self.drop(entry_id)

    def sent(self) -> frozenset[str]:
        """Ids of entries that wait for a worker and are whole, so that one will take them."""
        waiting = sorted(self._ids(self.queue.key))
        with reaching(), self.client.pipeline(transaction=False) as pipeline:
            for entry_id in waiting:
                pipeline.exists(RqJob.key_for(entry_id))
            whole = pipeline.execute()
        return frozenset(entry_id for entry_id, exists in zip(waiting, whole, strict=True) if exists)

    def popped(self) -> frozenset[str]:
        """Ids of entries that some worker popped and has not claimed yet (or never will)."""
        return self._ids(self.queue.intermediate_queue_key)

    def _ids(self, key: str) -> frozenset[str]:
        with reaching():
            entries = cast("list[bytes]", self.client.lrange(key, 0, -1))
        return frozenset(entry.decode("utf-8", "replace") for entry in entries)
