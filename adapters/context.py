"""What a running job holds in its hands: progress, events, checkpoints, and the word that it has to stop."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from adapters.jobs import Job, JobPreempted, JobStopped, Progress
from adapters.queue.queue import JobQueue
from adapters.queue.records import Lease, Verdict
from zoo.errors import Unavailable

logger = logging.getLogger(__name__)

PROGRESS_SECONDS = 1.0
METRICS_EVENTS = 100  # of one stage at most, so that a long job does not push its own story out


class AttemptContext:
    """The ``JobContext`` of one attempt. Redis being away stops nothing here: the worker watches over the lease."""

    def __init__(self, queue: JobQueue, lease: Lease, job: Job) -> None:
        self.job = job
        self.folder: Path = queue.journal.job_folder(job.id)
        self.attempt_folder: Path = self.folder / f"attempt-{lease.token}"
        _clear_older(self.folder, lease.token)
        self.attempt_folder.mkdir(parents=True, exist_ok=True)
        self.cancelled = False
        self.latest: Progress | None = None
        self._records = queue.records
        self._lease = lease
        self._preempted = False
        self._written = -PROGRESS_SECONDS
        self._told: tuple[str, int] = ("", 0)

    def preempt(self) -> None:
        """Ask for a checkpoint and an end at the next tick; safe to call from a signal handler."""
        self._preempted = True

    def tick(
        self,
        stage: str,
        step: int,
        total: int,
        *,
        save: Callable[[], None] | None = None,
        eta_seconds: float | None = None,
        **metrics: float,
    ) -> None:
        """Report progress; see ``JobContext.tick``. Raises ``JobPreempted``, ``JobStopped``."""
        self.latest = Progress(stage=stage, step=step, total=total, eta_seconds=eta_seconds, metrics=metrics)
        if self._preempted:
            self._save_and_leave(save)
        now = time.monotonic()
        if now - self._written < PROGRESS_SECONDS:
            return
        self._written = now
        data = {"stage": stage, "step": step, "total": total, **metrics} if self._telling(stage, step, total) else {}
        message = f"{stage}: {step} of {total}" if data else ""
        progress = self.latest
        self._obey(lambda: self._records.progress(self._lease, progress, message=message, data=data))

    def _telling(self, stage: str, step: int, total: int) -> bool:
        last_stage, last_step = self._told
        if stage == last_stage and step - last_step < max(1, total // METRICS_EVENTS):
            return False
        self._told = (stage, step)
        return True

    def _save_and_leave(self, save: Callable[[], None] | None) -> None:
        if save is not None:
            try:
                save()
            except Exception:
                logger.exception("job %s could not save on the way out; its last checkpoint counts", self.job.id)
        raise JobPreempted("the worker shuts down")

    def event(self, message: str, *, level: Literal["info", "warn", "error"] = "info", **data: Any) -> None:
        """Append to the job's events; see ``JobContext.event``. Raises ``JobStopped`` if the lease has passed on."""
        self._obey(lambda: self._records.event(self._lease, message, level=level, data=data))

    def checkpointed(self, step: int, **metrics: float) -> None:
        """List a checkpoint that is written. Raises ``JobStopped`` if the lease has passed on."""
        self._obey(lambda: self._records.checkpoint(self._lease, step, metrics))

    def confirm(self) -> None:
        """Return only if the attempt holds the lease and is not cancelled, else raise ``JobStopped``.

        Waits for Redis as long as the lease may still hold.
        """
        give_up = time.monotonic() + self._lease.seconds
        while True:
            try:
                return self._heed(self._records.beat(self._lease))
            except Unavailable:
                if time.monotonic() > give_up:
                    raise JobStopped("the lease could not be confirmed") from None
            time.sleep(0.2)

    def _obey(self, write: Callable[[], Verdict]) -> None:
        try:
            self._heed(write())
        except Unavailable:
            logger.warning("job %s goes on without Redis for now", self.job.id)

    def _heed(self, verdict: Verdict) -> None:
        if verdict == "cancel":
            self.cancelled = True
            raise JobStopped("cancelled")
        if verdict != "held":
            raise JobStopped("the lease has passed to another worker")


def _clear_older(folder: Path, token: int) -> None:
    for left in folder.glob("attempt-*"):
        number = left.name.removeprefix("attempt-")
        if number.isdecimal() and int(number) < token and not left.is_symlink():
            shutil.rmtree(left, ignore_errors=True)
