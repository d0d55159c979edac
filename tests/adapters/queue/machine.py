"""One home folder with its queue and its workers in real processes; what the queue's tests are played on."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import redis

from adapters.queue import JobQueue
from adapters.queue.attempt import Timing
from adapters.queue.launch import start_call
from tests.adapters.queue.runners import COUNTING
from zoo.settings import Settings

QUICK = Timing(beat=0.2, cancel_grace=0.5, stop_grace=1.5, janitor=0.3)


def eventually(check: Callable[[], object], *, within: float = 20.0) -> None:
    """Return once ``check`` is true; fail if it does not become so."""
    give_up = time.monotonic() + within
    while not check():
        assert time.monotonic() < give_up, "it did not happen in time"
        time.sleep(0.03)


def settings_for(home: Path, **changes: object) -> Settings:
    """Settings with a lease of two seconds."""
    return Settings.model_validate({"home": home, "lease_seconds": 2.0, **changes})


class Machine:
    """One home folder, its Redis, and the workers started on it."""

    def __init__(self, home: Path, url: str) -> None:
        self.home = home
        self.url = url
        self.settings = settings_for(home)
        self.queue = JobQueue(url, self.settings)
        self.redis = redis.Redis.from_url(url, decode_responses=True)
        self.processes: list[subprocess.Popen[bytes]] = []

    def configure(self, **changes: object) -> JobQueue:
        """Change settings for the queue and for workers started from now on."""
        self.queue.close()
        self.settings = settings_for(self.home, **changes)
        self.queue = JobQueue(self.url, self.settings)
        return self.queue

    def worker(self, timing: Timing = QUICK) -> subprocess.Popen[bytes]:
        """Start a worker process."""
        order = {
            "url": self.url,
            "settings": self.settings.model_dump(mode="json"),
            "runners": {kind.value: name for kind, name in COUNTING.items()},
            "timing": asdict(timing),
        }
        process = start_call("adapters.queue.supervisor.work", order)
        self.processes.append(process)
        return process

    def close(self) -> None:
        """End everything that was started."""
        for process in self.processes:
            for number in (signal.SIGCONT, signal.SIGKILL):
                if process.poll() is None:
                    os.kill(process.pid, number)
            process.wait()
        self.queue.close()
        self.redis.close()


def in_parallel(count: int, call: Callable[[], object]) -> None:
    """Run a call in many threads at the same moment."""
    barrier = threading.Barrier(count)

    def run() -> None:
        barrier.wait()
        call()

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
