"""rq as the dispatcher, and nothing more: it carries the ids of waiting jobs to workers. Its status is never read."""

from __future__ import annotations

import logging
from functools import cached_property
from typing import TYPE_CHECKING, cast

import redis

from adapters.queue import keys
from adapters.queue.connection import reaching

if TYPE_CHECKING:
    import rq

logger = logging.getLogger(__name__)


class Dispatcher:
    """Puts ids of waiting jobs into the rq queue and takes used or broken entries out."""

    def __init__(self, client: redis.Redis) -> None:
        """``client`` must not decode answers: rq works on bytes."""
        self.client = client

    @cached_property
    def queue(self) -> rq.Queue:
        """rq's own view of the queue, for which a service that starts does not wait: rq takes .1 s to import."""
        from adapters.queue.dispatched_job import rq_queue

        return rq_queue(self.client)

    def send(self, job_id: str) -> None:
        """Enqueue one call. A second entry for the same job does no harm: only one claim succeeds."""
        with reaching():
            self.queue.enqueue_call(
                keys.RUN_JOB, args=(job_id,), job_id=job_id, result_ttl=-1, timeout=-1, description=f"job {job_id}"
            )

    def drop(self, entry_id: str) -> None:
        """Remove an entry that was popped (or is refused), with all that rq keeps for it."""
        with reaching(), self.client.pipeline() as pipeline:
            pipeline.lrem(self.queue.intermediate_queue_key, 0, entry_id)
            pipeline.delete(self.queue.job_class.key_for(entry_id))
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
                pipeline.exists(self.queue.job_class.key_for(entry_id))
            whole = pipeline.execute()
        return frozenset(entry_id for entry_id, exists in zip(waiting, whole, strict=True) if exists)

    def popped(self) -> frozenset[str]:
        """Ids of entries that some worker popped and has not claimed yet (or never will)."""
        return self._ids(self.queue.intermediate_queue_key)

    def _ids(self, key: str) -> frozenset[str]:
        with reaching():
            entries = cast("list[bytes]", self.client.lrange(key, 0, -1))
        return frozenset(entry.decode("utf-8", "replace") for entry in entries)
