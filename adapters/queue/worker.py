"""The worker: takes jobs from the queue one by one and runs each in a child process of its own. Never imports torch.

A subclass of rq's ``SpawnWorker`` for its place among rq's tools and its loop; whatever there ends the process when
Redis is away, runs a function named by a queue entry, or listens for commands is replaced.
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping
from types import FrameType
from typing import Any

import rq
from rq.exceptions import DequeueTimeout
from rq.serializers import JSONSerializer
from rq.worker import SpawnWorker, WorkerStatus

from adapters.jobs import JobKind
from adapters.queue.assignment import RUNNERS, Assignment
from adapters.queue.attempt import Attempt, Outcome, Timing
from adapters.queue.connection import LOST, connect
from adapters.queue.dispatched_job import DispatchedJob
from adapters.queue.janitor import Janitor
from adapters.queue.launch import start_call
from adapters.queue.queue import JobQueue
from adapters.queue.records import Lease
from adapters.queue.workers import Identity, Workers
from zoo.errors import Unavailable
from zoo.settings import Settings

logger = logging.getLogger(__name__)

EXIT_DRAINED = 0
EXIT_REDIS_LOST = 1
EXIT_BROKEN = 70
EXIT_LEASE_LOST = 75

WORKER_TTL = 30
ANNOUNCE_SECONDS = 2.0
ALIVE_SECONDS = 2.0
POP_SECONDS = 1
POP_SOCKET_TIMEOUT = 5.0
HEAVY = ("torch", "transformers")


class TrainingWorker(SpawnWorker):  # type: ignore[misc]
    """One queue, one job at a time. ``exit_code`` says why ``work`` returned."""

    def __init__(self, jobs: JobQueue, *, runners: Mapping[JobKind, str], timing: Timing) -> None:
        self.jobs = jobs
        self.exit_code = EXIT_DRAINED
        self.stopping = threading.Event()
        self._runners = runners
        self._timing = timing
        self._current: str | None = None
        self._claims = 0
        self._touched = 0.0
        self._alive_file = jobs.settings.home / "jobs" / "worker-alive"
        connection = connect(jobs.url, text=False, socket_timeout=POP_SOCKET_TIMEOUT)
        name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        super().__init__(
            [rq.Queue(jobs.dispatcher.queue.name, connection=connection, job_class=DispatchedJob)],
            name=name,
            connection=connection,
            job_class=DispatchedJob,
            serializer=JSONSerializer,
            worker_ttl=WORKER_TTL,
            job_monitoring_interval=5,
            maintenance_interval=10,
            log_job_description=False,
            prepare_for_work=False,  # it would talk to Redis here already
        )
        self.hostname, self.pid, self.ip_address = socket.gethostname(), os.getpid(), "unknown"
        self._identity = Identity(name, os.getpid(), socket.gethostname())
        self._workers = Workers(jobs.records.client)

    # ---- life

    @property
    def dequeue_timeout(self) -> int:
        """Seconds of one blocking pop; also the longest that an idle worker takes to notice a signal."""
        return POP_SECONDS

    @property
    def connection_timeout(self) -> float:
        """The socket timeout that rq asks for."""
        return POP_SOCKET_TIMEOUT

    def get_heartbeat_ttl(self, job: Any, working_time: float = 0.0) -> int:
        """rq adds a minute to every heartbeat; we do not."""
        return WORKER_TTL

    def bootstrap(self, *_: Any, **__: Any) -> None:
        """Announce the worker, as soon as Redis is there. No command channel: nobody may stop jobs over Redis."""
        self._install_signal_handlers()
        threading.Thread(target=self._announce, name="announce", daemon=True).start()
        self._until_reached(self.register_birth)
        logger.info("worker %s takes jobs", self.name)

    def teardown(self) -> None:
        """Leave the list of workers, if Redis can be told."""
        try:
            self.register_death()
            self._workers.leave(self.name)
        except (*LOST, Unavailable):
            logger.info("worker %s leaves without telling Redis", self.name)

    def _install_signal_handlers(self) -> None:
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        # Nothing is raised here: an exception between a pop and a claim would leave the job to the janitor.
        self._stop_requested = True
        self.stopping.set()

    def _announce(self) -> None:
        while not self.stopping.is_set():
            try:
                self._workers.beat(self._identity, job_id=self._current, ttl_seconds=WORKER_TTL)
            except Unavailable:
                pass
            except Exception:
                logger.exception("the announcement of worker %s failed and goes on", self.name)
            self.stopping.wait(ANNOUNCE_SECONDS)

    def alive(self) -> None:
        """Touch ``jobs/worker-alive`` every two seconds, for a probe that looks at its age."""
        now = time.monotonic()
        if now - self._touched >= ALIVE_SECONDS:
            self._touched = now
            try:
                self._alive_file.parent.mkdir(parents=True, exist_ok=True)
                self._alive_file.touch()
            except OSError:
                logger.warning("the worker's sign of life cannot be written")

    def _until_reached(self, step: Any) -> Any:
        """Call ``step`` until Redis answers; None when the worker stops or Redis stays away for too long."""
        since, pause = time.monotonic(), 0.1
        while not self.stopping.is_set():
            self.alive()
            try:
                return step()
            except DequeueTimeout:
                since, pause = time.monotonic(), 0.1
            except LOST:
                if time.monotonic() - since > self._timing.redis_patience:
                    logger.error("Redis has been away for too long; the worker ends")
                    self.exit_code = EXIT_REDIS_LOST
                    self._stop_requested = True
                    self.stopping.set()
                    return None
                self.stopping.wait(pause)
                pause = min(pause * 2, 3.0)
        return None

    # ---- parts of rq's loop that must not end the worker

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        """rq's heartbeat, which may fail."""
        try:
            super().heartbeat(timeout, pipeline)
        except LOST:
            logger.debug("rq's heartbeat did not reach Redis")

    def set_state(self, state: str, pipeline: Any = None) -> None:
        """rq's state of the worker, which may fail to be written."""
        try:
            super().set_state(state, pipeline)
        except LOST:
            logger.debug("rq's worker state did not reach Redis")

    def check_for_suspension(self, burst: bool) -> None:
        """Workers are not suspended over Redis."""

    def run_maintenance_tasks(self) -> None:
        """The janitor does it, and not only between jobs."""

    @property
    def should_run_maintenance_tasks(self) -> bool:
        """Never by rq."""
        return False

    def dequeue_job_and_maintain_ttl(self, timeout: int | None, max_idle_time: int | None = None) -> Any:
        """The next entry of the queue; None when the worker shall stop."""
        self.set_state(WorkerStatus.IDLE)
        return self._until_reached(self._pop)

    def _pop(self) -> Any:
        self.heartbeat()
        try:
            return self.queue_class.dequeue_any(
                self.queues,
                POP_SECONDS,
                connection=self.connection,
                job_class=self.job_class,
                serializer=self.serializer,
            )
        except (*LOST, DequeueTimeout):
            raise
        except Exception as broken:
            entry = getattr(broken, "job_id", None)
            if entry is None:
                logger.exception("the queue could not be read")
                time.sleep(1.0)
            else:
                self._refuse(entry, broken)
            raise DequeueTimeout(POP_SECONDS, self.queue_keys()) from broken

    def _refuse(self, entry: str, reason: BaseException) -> None:
        try:
            self.jobs.dispatcher.refuse(entry, reason)
        except Unavailable:
            logger.warning("a refused queue entry stays until Redis is back")

    # ---- one job

    def execute_job(self, job: Any, queue: Any) -> None:
        """Claim our record for a queue entry and run it; an entry that calls anything else is refused."""
        try:
            job_id = job.job_id
        except Exception as foreign:  # ForeignFunction, or data that is no call at all
            return self._refuse(job.id, foreign)
        if (lease := self._claim(job_id, job.id)) is None:
            return None
        self._current = job_id
        self.set_state(WorkerStatus.BUSY)
        try:
            if self._run(lease) is Outcome.STALE:
                logger.error("the lease of job %s has passed to another worker; this one ends", job_id)
                self.exit_code = EXIT_LEASE_LOST
                self._stop_requested = True
                self.stopping.set()
        finally:
            self._current = None
            self.set_state(WorkerStatus.IDLE)

    def _claim(self, job_id: str, entry: str) -> Lease | None:
        self._claims += 1
        nonce, lease = f"{self.name}-{self._claims}", None
        try:
            lease = self.jobs.records.claim(
                job_id,
                nonce=nonce,
                lease_seconds=self.jobs.settings.lease_seconds,
                journaled=self.jobs.journal.read(job_id),
            )
            self.jobs.dispatcher.drop(entry)
        except Unavailable:
            logger.warning("Redis went away in the claim of job %s", job_id)
        return lease

    def _run(self, lease: Lease) -> Outcome:
        check_light()
        self.jobs.mirror_quietly(lease.job_id)
        order = Assignment.of(lease, url=self.jobs.url, settings=self.jobs.settings, runners=self._runners)
        process = start_call("adapters.worker.main", order.model_dump(mode="json"))
        return Attempt(self.jobs, lease, process, timing=self._timing).run(self.stopping, self.alive)


def check_light() -> None:
    """Raise ``RuntimeError`` if a training library has come into the worker's own process."""
    loaded = [name for name in HEAVY if name in sys.modules]
    if loaded:
        raise RuntimeError(f"the worker process must not import {', '.join(loaded)}: a job runs in a child")


def run_worker(
    url: str, settings: Settings, *, runners: Mapping[JobKind, str] = RUNNERS, timing: Timing | None = None
) -> int:
    """Work until SIGTERM or SIGINT; call it in the main thread of a process of its own, whose priority it lowers.

    Returns the process's exit code: 0 drained, 1 Redis away for more than five minutes, 70 a fault of the worker
    itself, 75 a lease passed on to another worker.
    """
    check_light()
    timing = timing or Timing()
    os.nice(10)
    jobs = JobQueue(url, settings)
    janitor = Janitor(jobs, interval=timing.janitor)
    worker = TrainingWorker(jobs, runners=runners, timing=timing)
    janitor.start()
    try:
        worker.work()
        if not worker.stopping.is_set():
            return EXIT_BROKEN  # rq's loop ends on an error of ours; it is in the log
    finally:
        worker.stopping.set()
        janitor.stop()
        jobs.close()
    return worker.exit_code
