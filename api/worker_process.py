"""The one worker of a service that brings its own queue: started, watched, restarted, and ended with the service."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 30.0
STABLE_SECONDS = 60.0  # who ran so long is started again without waiting
STOP_SECONDS = 10.0
log = logging.getLogger("api.worker")

WORKER_COMMAND = (sys.executable, "-P", "-m", "api.cli", "worker")


class WorkerProcess:
    """Keeps ``command`` running in a thread of its own.

    The kernel ends the child when the *thread* that started it ends, so all starts happen in the one thread that lives
    until ``stop``.
    """

    def __init__(self, environment: Mapping[str, str], *, command: Sequence[str] = WORKER_COMMAND) -> None:
        self._command = tuple(command)
        self._environment = dict(environment)
        self._stopping = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._keep_running, name="worker-process", daemon=True)

    def start(self) -> None:
        """Start the worker and watch it."""
        self._thread.start()

    @property
    def pid(self) -> int | None:
        """Process id of the worker that runs now, if one does."""
        child = self._child
        return child.pid if child is not None and child.poll() is None else None

    def stop(self) -> None:
        """End the worker: SIGTERM, so that a running job saves and returns to the queue, then SIGKILL after 10 s."""
        with self._lock:
            self._stopping.set()
            child = self._child
        if child is not None and child.poll() is None:
            child.terminate()
            try:
                child.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
        self._thread.join(STOP_SECONDS)

    def _keep_running(self) -> None:
        wait = FIRST_WAIT_SECONDS
        while True:
            started = time.monotonic()
            with self._lock:
                if self._stopping.is_set():
                    return
                self._child = child = self._spawn()
            code = child.wait()
            if self._stopping.is_set():
                return
            stable = time.monotonic() - started > STABLE_SECONDS
            wait = FIRST_WAIT_SECONDS if stable else min(wait * 2, LONGEST_WAIT_SECONDS)
            log.warning("the worker ended and is started again", extra={"exit_code": code, "wait_seconds": wait})
            if self._stopping.wait(wait):
                return

    def _spawn(self) -> subprocess.Popen[bytes]:
        tethered = [sys.executable, "-P", "-m", "api.tether", str(os.getpid()), *self._command]
        project = str(Path(__file__).resolve().parent.parent)
        path = os.pathsep.join(filter(None, [project, self._environment.get("PYTHONPATH", "")]))
        return subprocess.Popen(
            tethered, env={**self._environment, "PYTHONPATH": path}, stdin=subprocess.DEVNULL, start_new_session=True
        )
