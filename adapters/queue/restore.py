"""What to do when Redis has lost its memory: put every job of the journal back, unfinished ones into the queue."""

from __future__ import annotations

import logging
import threading
from typing import cast

from adapters.queue import keys
from adapters.queue.connection import reaching
from adapters.queue.dispatch import Dispatcher
from adapters.queue.journal import Journal
from adapters.queue.records import Record, Records

logger = logging.getLogger(__name__)


class Restorer:
    """Compares Redis with the journal: once per run of the Redis server, and whenever its epoch key is gone."""

    def __init__(self, records: Records, journal: Journal, dispatcher: Dispatcher) -> None:
        self._records = records
        self._journal = journal
        self._dispatcher = dispatcher
        self._lock = threading.Lock()
        self._run_id = ""

    def ensure(self) -> None:
        """Restore everything if Redis was emptied; one round trip if it was not."""
        with reaching():
            whole = self._records.client.exists(keys.EPOCH)
        if not whole:
            self.restore_all()

    def ensure_run(self) -> None:
        """As ``ensure``, and also after each restart of Redis, which may have lost the last second only."""
        with reaching():
            run_id = str(cast("dict[str, object]", self._records.client.info("server"))["run_id"])
        if run_id == self._run_id:
            self.ensure()
        else:
            self.restore_all()
            self._run_id = run_id

    def restore_all(self) -> None:
        """Put every journaled job back that Redis does not know, or knows an older state of: it may lose its last
        second when it is killed. Safe to run in several processes at once."""
        with self._lock:
            restored = 0
            for record in self._journal.all():
                restored += self._restore(record)
            with reaching():
                self._records.client.set(keys.EPOCH, "1")
        if restored:
            logger.warning("Redis had lost %d jobs; they were restored from the journal", restored)

    def restore_one(self, job_id: str) -> bool:
        """Put one job back; False if the journal does not know it."""
        record = self._journal.read(job_id)
        if record is None:
            return False
        self._restore(record)
        return True

    def _restore(self, record: Record) -> bool:
        answer = self._records.restore(record)
        if answer == "queued":
            self._dispatcher.send(record.job.id)
        return answer != "known"
