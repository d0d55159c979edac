"""The threads that run batches: as many as there are cores, for all bodies together."""

from __future__ import annotations

import logging
import os
import sys
import threading
from weakref import WeakSet

from zoo.engine.backlog import Backlog
from zoo.engine.scheduler import Run, Scheduler
from zoo.engine.threads import Threads, measured
from zoo.engine.ticket import Costly

NICENESS = 5
log = logging.getLogger("zoo.engine.workers")


class Workers:
    """Run what schedulers hold, the nearest deadline first; safe to use from any thread.

    Each thread runs one batch at a time with one core, as two of them on one session beat one run with two threads by
    9 to 150 %; a row that is alone in the whole process has all of them.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.backlog = Backlog(count)
        """Of all bodies."""
        self.calm = threading.Event()
        """Set while nothing else of this process keeps the cores busy: only then is measured how a model runs."""
        self.calm.set()
        self._changed = threading.Condition()
        self._ready: dict[Scheduler, None] = {}
        self._schedulers: WeakSet[Scheduler] = WeakSet()
        self._idle = 0
        self._closed = False
        self._threads = [
            threading.Thread(target=self._work, name=f"run_{place}", daemon=True) for place in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def queue(self, run: Run, row: Costly, *, budget: int) -> tuple[Scheduler, Threads]:
        """A scheduler whose batches are run here, and how: measured by running ``row``, with which its costs begin."""
        self.calm.wait()
        threads = measured(lambda whole: run([row], whole), cores=self.count)
        scheduler = Scheduler(run, budget=budget, backlog=self.backlog)
        scheduler.cost_model.learn(1, row.cost, threads.single_ms)
        with self._changed:
            self._schedulers.add(scheduler)
            if self._closed:
                scheduler.close()
        return scheduler, threads

    def wake(self, scheduler: Scheduler, rows: int = 1) -> None:
        """So many rows of a scheduler have come."""
        with self._changed:
            self._ready[scheduler] = None
            self._changed.notify(min(rows, self.count))

    def close(self) -> None:
        """Let every thread end its batch, and start no more; rows that wait are answered with ``Unavailable``."""
        with self._changed:
            self._closed = True
            schedulers = list(self._schedulers)
            self._changed.notify_all()
        for scheduler in schedulers:
            scheduler.close()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        _give_way()
        while (found := self._next()) is not None:
            scheduler, idle = found
            try:
                scheduler.step(idle=idle, whole=idle == self.count - 1)
            except Exception:  # a worker that ended would leave every later caller waiting
                log.exception("a batch was lost")
            del found, scheduler  # a model that is unloaded must not stay for as long as this thread sleeps

    def _next(self) -> tuple[Scheduler, int] | None:
        """The scheduler to serve and how many other threads have nothing to do; None at the end."""
        with self._changed:
            while True:
                if self._closed:
                    return None
                self._ready = {one: None for one in self._ready if one.waiting()}
                if self._ready:
                    return min(self._ready, key=Scheduler.next_deadline), self._idle
                self._idle += 1
                self._changed.wait()
                self._idle -= 1


def _give_way() -> None:
    """Let the event loop have a core whenever it needs one: under load it otherwise waits for its turn behind runs.

    Three times what the machine could do, it read requests up to 36 s late, and so refused them too late.
    """
    if sys.platform == "linux":  # where a thread has a niceness of its own
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
