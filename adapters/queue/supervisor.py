"""Keeps one worker process running beside the service: started again when it ends, ended with the service."""

from __future__ import annotations

import logging
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from adapters.jobs import JobKind
from adapters.queue.assignment import RUNNERS
from adapters.queue.attempt import Timing
from adapters.queue.launch import outlast, start_call
from zoo import logs
from zoo.settings import Settings

logger = logging.getLogger(__name__)

DRAIN_SECONDS = 6.0


class WorkerSupervisor:
    """A worker in a child process that cannot outlive this one; restarted with a growing pause (0.5 to 5 s)."""

    def __init__(
        self,
        url: str,
        settings: Settings,
        *,
        runners: Mapping[JobKind, str] = RUNNERS,
        timing: Timing | None = None,
    ) -> None:
        self._order: dict[str, Any] = {
            "url": url,
            # the key opens the service to callers; a worker has no use for it
            "settings": settings.model_copy(update={"api_key": ""}).model_dump(mode="json"),
            "runners": {kind.value: name for kind, name in runners.items()},
            "timing": asdict(timing or Timing()),
        }
        self._stop = threading.Event()
        self._started = threading.Event()
        self._thread: threading.Thread | None = None
        self.pid: int | None = None

    def start(self) -> None:
        """Start the worker; returns as soon as its process exists."""
        self._stop.clear()
        self._thread = threading.Thread(target=self._keep, name="worker", daemon=True)
        self._thread.start()
        self._started.wait()

    def stop(self) -> None:
        """Let the worker save and put back what it runs (SIGTERM), and wait for its end: six seconds at most."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _keep(self) -> None:
        pause = 0.5
        while not self._stop.is_set():
            process = start_call("adapters.queue.supervisor.work", self._order)
            self.pid = process.pid
            self._started.set()
            since = time.monotonic()
            outlast(process, self._stop)
            if self._stop.is_set():
                _drain(process)
                return
            pause = 0.5 if time.monotonic() - since > 30 else min(pause * 2, 5.0)
            logger.warning("the worker ended with code %s and is started again in %.1f s", process.returncode, pause)
            self._stop.wait(pause)


def work(order: Mapping[str, Any]) -> int:
    """Entry point of the worker process."""
    from adapters.queue.worker import run_worker  # with all of rq, which the process that starts it can do without

    settings = Settings(**order["settings"])
    logs.configure(settings)
    runners = {JobKind(kind): name for kind, name in order["runners"].items()}
    return run_worker(order["url"], settings, runners=runners, timing=Timing(**order["timing"]))


def _drain(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=DRAIN_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
