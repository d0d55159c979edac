"""An entry of rq's queue, which can be nothing but a call of ``run_job`` with one job id.

Whoever can write to Redis can put any function name into an rq job, so an entry is never executed by rq: the worker
checks that it names the one allowed function, takes the job id out of it and claims our own record.
"""

from __future__ import annotations

from typing import Any

import redis
import rq
from rq.job import Job as RqJob
from rq.serializers import JSONSerializer

from adapters.queue import keys
from adapters.queue.journal import JOB_ID


class ForeignFunction(Exception):
    """A queue entry that is not a call of the one allowed function with one job id."""


class DispatchedJob(RqJob):  # type: ignore[misc]
    """An rq job that refuses to be anything but ``run_job(<job id>)``."""

    @property
    def func_name(self) -> str:
        """The function's name. Raises ``ForeignFunction`` if it is another than the allowed one."""
        name = super().func_name
        if name != keys.RUN_JOB:
            raise ForeignFunction(f"the queue entry names a function that is not allowed: {str(name)[:80]!r}")
        return str(name)

    @property
    def job_id(self) -> str:
        """The id of our job. Raises ``ForeignFunction`` for any other call."""
        if self.func_name != keys.RUN_JOB or self.instance or self.kwargs or len(self.args) != 1:
            raise ForeignFunction("the queue entry does not call run_job with one job id")
        (job_id,) = self.args
        if not isinstance(job_id, str) or not JOB_ID.fullmatch(job_id):
            raise ForeignFunction("the queue entry does not carry a job id")
        return job_id

    def perform(self) -> Any:
        """Never run by rq."""
        raise ForeignFunction("queue entries are not executed by rq")


def rq_queue(client: redis.Redis) -> rq.Queue:
    """The queue that workers take from; ``client`` must not decode answers: rq works on bytes."""
    return rq.Queue(keys.QUEUE, connection=client, job_class=DispatchedJob, serializer=JSONSerializer)
