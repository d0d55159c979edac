"""The child's side of a job: one process, one job, one attempt. The parent started it and watches it."""

from __future__ import annotations

import importlib
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from adapters.context import AttemptContext
from adapters.jobs import TRAINING_LIBRARIES, JobError, JobPreempted, JobStopped
from adapters.queue.assignment import Assignment
from adapters.queue.queue import JobQueue
from adapters.queue.records import Lease
from zoo import logs
from zoo.errors import Unavailable, ZooError
from zoo.settings import Settings

logger = logging.getLogger(__name__)

EXIT_WRITTEN = 0
EXIT_UNWRITTEN = 70
CACHE_VARIABLES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")

OUT_OF_MEMORY = JobError(
    code="out_of_memory",
    message="The job needed more memory than the worker has; use a smaller batch size, shorter texts or a "
    "smaller model.",
)

NO_TRAINING = JobError(
    code="training_not_installed",
    message="This job needs the training libraries, which are not installed where the worker runs: pip install "
    "'adaptzoo[train]'.",
)


def main(payload: Mapping[str, Any]) -> int:
    """Entry point of the child process; never returns, so that no thread of a library can keep it alive."""
    assignment = Assignment.model_validate(payload)
    settings = assignment.worker_settings()
    logs.configure(settings)
    threads = settings.worker_threads
    # OpenMP's threads wait for each other by spinning. Beside another busy process that starves both (a step took 3.4
    # times as long); a short spin costs a lone job nothing and a shared machine little (2.3 times, 2 being fair).
    os.putenv("GOMP_SPINCOUNT", "3000")
    # For each shape of batch torch and oneDNN keep kernels and buffers, 1,024 of them: training Whisper took 6.5 GB. Of
    # 24 batches 3.5 GB were left, with 64 of them 1.8, and the updates took 1.05 times as long.
    for variable in CACHE_VARIABLES:
        os.putenv(variable, "64")
    if threads:
        for variable in THREAD_VARIABLES:
            os.putenv(variable, str(threads))  # read by the libraries when they are loaded, later
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl+C is the parent's business
    code = run_job(assignment.job_id, assignment)
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def run_job(job_id: str, assignment: Assignment) -> int:
    """Run the claimed job and write how it ended; returns the process's exit code.

    The only function that a queue entry may name. The record decides: a result under an old token is dropped.
    """
    settings = assignment.worker_settings()
    queue = JobQueue(assignment.url, settings)
    lease = assignment.lease
    record = _patiently(lease, lambda: queue.records.record(job_id))
    if record is None or record.job.token != lease.token:
        return EXIT_UNWRITTEN
    context = AttemptContext(queue, lease, record.job)
    signal.signal(signal.SIGUSR1, lambda number, frame: context.preempt())
    ending = _run(context, settings, runner=assignment.runners[record.job.spec.kind])
    written = _patiently(lease, lambda: ending(queue, lease) or True)
    if written is None:
        return EXIT_UNWRITTEN
    queue.mirror_quietly(job_id)
    return EXIT_WRITTEN


Answer = TypeVar("Answer")
Ending = Callable[[JobQueue, Lease], object]
"""Writes how an attempt ended."""


def _run(context: AttemptContext, settings: Settings, *, runner: str) -> Ending:
    try:
        module, _, function = runner.rpartition(".")
        result = getattr(importlib.import_module(module), function)(context, settings)
        json.dumps(result)
        return lambda queue, lease: queue.records.succeed(lease, result, context.latest)
    except JobPreempted:
        return _put_back
    except JobStopped as stopped:
        logger.info("job %s stops: %s", context.job.id, stopped)
        return _cancelled if context.cancelled else _nothing
    except BaseException as failure:
        error = _described(failure, context.job.id)
        return lambda queue, lease: queue.records.fail(lease, error)


def _put_back(queue: JobQueue, lease: Lease) -> None:
    if queue.records.release(lease):
        queue.dispatcher.send(lease.job_id)


def _cancelled(queue: JobQueue, lease: Lease) -> None:
    queue.records.cancelled(lease)


def _nothing(queue: JobQueue, lease: Lease) -> None:
    return None


def _described(failure: BaseException, job_id: str) -> JobError:
    if isinstance(failure, ZooError):
        logger.info("job %s failed: %s", job_id, failure.code)
        return JobError(code=failure.code, message=failure.message, param=failure.param)
    if isinstance(failure, ModuleNotFoundError) and str(failure.name).partition(".")[0] in TRAINING_LIBRARIES:
        return NO_TRAINING
    logger.error("job %s failed", job_id, exc_info=failure)
    # torch's own error is a RuntimeError of this name.
    if isinstance(failure, MemoryError) or type(failure).__name__ == "OutOfMemoryError":
        return OUT_OF_MEMORY
    return JobError(
        code="internal_error",
        message=f"The job failed inside the service; see the worker's log for {job_id}.",
    )


def _patiently(lease: Lease, call: Callable[[], Answer]) -> Answer | None:
    give_up = time.monotonic() + lease.seconds
    while True:
        try:
            return call()
        except Unavailable:
            if time.monotonic() > give_up:
                return None
        time.sleep(0.2)
