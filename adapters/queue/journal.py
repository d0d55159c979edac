"""The journal: ``jobs/<id>/job.json`` beside each job's files, so that a Redis that lost its memory loses no job."""

from __future__ import annotations

import json
import logging
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock
from pydantic import ValidationError

from adapters.jobs import Job
from adapters.queue.records import Record

logger = logging.getLogger(__name__)

JOB_ID = re.compile(r"ftjob-[0-9a-f]{24}")


class Journal:
    """Copies of job records under ``home/jobs``. Writes are atomic; an older revision never replaces a newer one."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "jobs"

    def job_folder(self, job_id: str) -> Path:
        """The folder of one job's files; it need not exist yet. Ids come from clients: anything else than one is
        refused with ``ValueError``."""
        if not JOB_ID.fullmatch(job_id):
            raise ValueError("not a job id")
        return self.folder / job_id

    def write(self, record: Record) -> None:
        """Mirror a record. Raises ``OSError`` when the disk is full or read-only."""
        folder = self.job_folder(record.job.id)
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".job.lock", timeout=10):
            known = self.read(record.job.id)
            if known is None or known.revision < record.revision:
                _replace(folder / "job.json", _text(record))

    def read(self, job_id: str) -> Record | None:
        """The journal's copy of a record; None if there is none or it cannot be read."""
        path = self.job_folder(job_id) / "job.json"
        try:
            return _record(path.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, ValidationError):
            logger.warning("the journal of job %s cannot be read; it is left out", job_id)
            return None

    def all(self) -> Iterator[Record]:
        """Every record that can be read."""
        if not self.folder.is_dir():
            return
        for entry in sorted(self.folder.iterdir()):
            if JOB_ID.fullmatch(entry.name):
                record = self.read(entry.name)
                if record is not None and record.job.id == entry.name:
                    yield record


def _text(record: Record) -> str:
    return json.dumps(
        {
            "revision": record.revision,
            "tries": record.tries,
            "mark": record.mark,
            "idempotency": record.idempotency,
            "fingerprint": record.fingerprint,
            "job": record.job.model_dump(mode="json"),
        },
        indent=1,
    )


def _record(text: str) -> Record:
    data = json.loads(text)
    return Record(
        Job.model_validate(data["job"]),
        int(data["revision"]),
        tries=int(data["tries"]),
        mark=int(data["mark"]),
        idempotency=str(data["idempotency"]),
        fingerprint=str(data["fingerprint"]),
    )


def _replace(path: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(prefix=".job-", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
