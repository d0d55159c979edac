"""The parent's side of one attempt: renew the lease, watch the child, and end it when it must end.

Two threads: one talks to Redis (beats), the other only looks at the child and at the monotonic clock, so that a hanging
connection never keeps a child running past its lease.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from adapters.jobs import JobError
from adapters.queue.queue import JobQueue
from adapters.queue.records import Lease, Verdict
from zoo.errors import Unavailable

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Timing:
    """How patient a worker is, in seconds."""

    beat: float = 1.0  # between renewals of the lease, which also bring news of a cancellation
    poll: float = 0.05
    cancel_grace: float = 7.0  # for a child to stop after a cancellation was seen
    stop_grace: float = 4.0  # for a child to save a checkpoint when the worker shuts down
    redis_patience: float = 300.0  # without Redis, before the worker gives up
    janitor: float = 3.0


class Outcome(Enum):
    """How an attempt ended for the worker."""

    SETTLED = "settled"  # the record says what happened
    STALE = "stale"  # another worker has taken over
    UNKNOWN = "unknown"  # Redis could not be told; the lease will run out


class _End(Enum):
    EXITED = "exited"
    TIMEOUT = "timeout"
    CANCEL = "cancel"
    STOP = "stop"
    LEASE = "lease"
    STALE = "stale"
    GONE = "gone"


class Attempt:
    """Supervises one child process until it has ended and the record knows."""

    def __init__(self, queue: JobQueue, lease: Lease, process: subprocess.Popen[bytes], *, timing: Timing) -> None:
        self._queue = queue
        self._lease = lease
        self._process = process
        self._timing = timing
        self._ended = threading.Event()
        self._started = self._renewed = time.monotonic()
        self._cancel_seen: float | None = None
        self._stop_asked: float | None = None
        self._verdict: Verdict = "held"

    @property
    def deadline_seconds(self) -> float:
        """Without a renewal for so long, the child is killed: well before another worker may start."""
        return self._lease.seconds - min(3.0, self._lease.seconds / 4)

    def run(self, stopping: threading.Event, alive: Callable[[], None]) -> Outcome:
        """Block until the attempt is over. ``stopping`` asks to shut down; ``alive`` is called many times a second."""
        beats = threading.Thread(target=self._beat, name="lease", daemon=True)
        beats.start()
        try:
            end = self._watch(stopping, alive)
        finally:
            self._kill_group()
            code = self._process.wait()
            self._ended.set()
        beats.join(timeout=5)
        if end is not _End.EXITED or code != 0:
            logger.warning("attempt of job %s ended: %s, exit code %d", self._lease.job_id, end.value, code)
        return self._settle(end, code, patient=not stopping.is_set())

    def _beat(self) -> None:
        interval = min(self._timing.beat, self._lease.seconds / 5)
        while not self._ended.wait(interval):
            sent = time.monotonic()
            try:
                verdict = self._queue.records.beat(self._lease)
            except Unavailable:
                continue
            if verdict in ("held", "cancel"):
                self._renewed = sent
            if verdict == "cancel" and self._cancel_seen is None:
                self._cancel_seen = sent
            self._verdict = verdict

    def _watch(self, stopping: threading.Event, alive: Callable[[], None]) -> _End:
        while not self._exited():
            alive()
            now = time.monotonic()
            if stopping.is_set() and self._stop_asked is None:
                self._stop_asked = now
                os.kill(self._process.pid, signal.SIGUSR1)
            end = self._must_end(now)
            if end is not None:
                # An exit in this very moment is as good as any: what it wrote was fenced by its token.
                return end
            time.sleep(self._timing.poll)
        return _End.EXITED

    def _exited(self) -> bool:
        # Not reaped yet, so that the process group cannot be another one's by the time it is killed.
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self._process.pid, flags) is not None

    def _must_end(self, now: float) -> _End | None:
        if self._verdict == "stale":
            return _End.STALE
        if self._verdict == "gone":
            return _End.GONE
        limits = (
            (_End.LEASE, self._renewed, self.deadline_seconds),
            (_End.TIMEOUT, self._started, float(self._queue.settings.job_timeout_seconds)),
            (_End.CANCEL, self._cancel_seen, self._timing.cancel_grace),
            (_End.STOP, self._stop_asked, self._timing.stop_grace),
        )
        for end, since, limit in limits:
            if since is not None and now - since > limit:
                return end
        return None

    def _kill_group(self) -> None:
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def _settle(self, end: _End, code: int, *, patient: bool) -> Outcome:
        if end is _End.STALE or (end is _End.EXITED and self._passed_on()):
            return Outcome.STALE
        if end is _End.GONE or (end is _End.EXITED and code == 0):
            return Outcome.SETTLED
        give_up = time.monotonic() + (self._lease.seconds if patient else 0.0)
        while True:
            try:
                return self._write(end)
            except Unavailable:
                if time.monotonic() >= give_up:
                    return Outcome.UNKNOWN
            time.sleep(0.2)

    def _passed_on(self) -> bool:
        # A child that was frozen with this process wakes first at times, is refused, and exits before the next beat.
        try:
            return self._queue.records.beat(self._lease) == "stale"
        except Unavailable:
            return False

    def _write(self, end: _End) -> Outcome:
        records, job_id = self._queue.records, self._lease.job_id
        again = False
        if end is _End.TIMEOUT:
            held = records.fail(self._lease, self._timeout()) == "held"
        elif end is _End.CANCEL:
            held = records.cancelled(self._lease) == "held"
        elif self._stop_asked is not None:
            held = again = records.release(self._lease)
        elif end is _End.LEASE:
            held = again = records.release(self._lease, why="the worker was cut off from the queue")
        else:
            attempts = self._queue.settings.job_attempts
            answer = records.lost(job_id, token=self._lease.token, attempts=attempts)
            held, again = answer != "stale", answer == "queued"
        self._queue.mirror_quietly(job_id)
        if again:
            self._queue.dispatcher.send(job_id)
        # Not ours any more: an exited child may have settled it itself just before it died.
        return Outcome.SETTLED if held or end is not _End.LEASE else Outcome.STALE

    def _timeout(self) -> JobError:
        limit = self._queue.settings.job_timeout_seconds
        return JobError(
            code="timeout",
            message=f"The job ran longer than the {limit} s that one attempt may take; use fewer rows or epochs, or "
            "raise job_timeout_seconds.",
        )
