"""Every name that the job queue uses in Redis, in one place."""

from __future__ import annotations

PREFIX = "zoo:"
"""Keys of one job: ``zoo:job:<id>`` (hash, the record), ``…:events`` (stream), ``…:checkpoints`` (list)."""

QUEUE = "train"
"""Name of the one rq queue; a worker listens on exactly one, because rq loses jobs when it pops from several."""

RUN_JOB = "adapters.worker.run_job"
"""The one function that an entry of that queue may name."""

JOBS = PREFIX + "jobs"  # sorted set: every job by creation, in microseconds
QUEUED = PREFIX + "queued"  # sorted set: waiting jobs by the moment they were queued
DELAYED = PREFIX + "delayed"  # sorted set: waiting jobs that may not start before their score
LEASES = PREFIX + "leases"  # sorted set: running jobs by the end of their lease
DIRTY = PREFIX + "dirty"  # set: jobs whose journal is behind the record
IMPORTS = PREFIX + "imports"  # hash: name -> newest import job
WORKERS = PREFIX + "workers"  # set: names of workers seen lately
JANITOR = PREFIX + "janitor"  # lock: who cleans up in this interval
EPOCH = PREFIX + "epoch"  # present while Redis still holds what was written to it
REFUSED = PREFIX + "refused"  # counter: queue entries that did not name the one allowed function


def job(job_id: str) -> str:
    """The hash that is the record of a job."""
    return f"{PREFIX}job:{job_id}"


def events(job_id: str) -> str:
    """The stream of a job's events."""
    return f"{job(job_id)}:events"


def checkpoints(job_id: str) -> str:
    """The list of a job's checkpoints, oldest first."""
    return f"{job(job_id)}:checkpoints"


def worker(name: str) -> str:
    """The hash that a live worker keeps from expiring."""
    return f"{PREFIX}worker:{name}"
