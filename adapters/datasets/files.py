"""Uploaded and result files: immutable folders under ``files/``, each published by one rename."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

from adapters.datasets.example import Example
from adapters.datasets.examples import read_examples
from adapters.datasets.formats import sniff_file
from adapters.datasets.inspection import inspect_file
from adapters.datasets.limits import Limits
from adapters.datasets.media.survey import Progress, Survey, TooMuch
from adapters.datasets.records import (
    FINE_TUNE,
    RESULT_PURPOSES,
    UPLOAD_PURPOSES,
    FileRecord,
    Page,
    check_expiry,
    judged,
    new_file_id,
    safe_name,
)
from adapters.datasets.report import Report
from adapters.datasets.shelf import Shelf
from adapters.datasets.zips import SHEET_FILE, SURVEY_FILE, Asked, Inspected, inspect_zip, keep, read_survey
from zoo.errors import InvalidInput, NotFound, TooLarge, Unavailable
from zoo.settings import Settings

_DATA, _ROWS, _REPORT = "data", "data.jsonl", "report.json"


class FileStore:
    """Files of all purposes. Safe to use from several processes: every change is one rename."""

    def __init__(self, home: Path, settings: Settings) -> None:
        self._shelf = Shelf(home / "files")
        self._max_bytes = settings.max_upload_bytes
        self._limits = Limits.of(settings)

    async def receive(
        self,
        chunks: AsyncIterator[bytes],
        *,
        filename: str | None,
        purpose: str,
        expires_after: int | None = None,
    ) -> FileRecord:
        """Store an upload as it comes in; a data file is inspected (in a thread) before it becomes visible.

        A file that cannot be trained on is kept with status ``error`` and its report; Parquet and large zips are
        ``uploaded`` with ``needs_worker``. Raises ``TooLarge``, ``Unsupported`` or ``InvalidInput``, and then leaves
        nothing behind.
        """
        if purpose not in UPLOAD_PURPOSES:
            message = f"purpose has to be one of: {', '.join(UPLOAD_PURPOSES)}."
            raise InvalidInput(message, code="invalid_purpose", param="purpose")
        check_expiry(expires_after)
        with self._shelf.staging() as folder:
            hasher = hashlib.sha256()
            size = 0
            with (folder / _DATA).open("wb") as sink:
                async for chunk in chunks:
                    size += len(chunk)
                    self._check_size(size)
                    hasher.update(chunk)
                    sink.write(chunk)
            draft = self._draft(folder, filename, purpose, hasher.hexdigest())
            if expires_after is not None:
                draft = draft.model_copy(update={"expires_at": draft.created_at + expires_after})
            if purpose == FINE_TUNE:
                draft = await asyncio.to_thread(self._inspect_staged, folder, draft)
            await asyncio.to_thread(self._shelf.publish, folder, draft)
            return draft

    def add(self, source: Path | bytes, *, filename: str, purpose: str) -> FileRecord:
        """Store a file that the service itself made; ``source`` is copied."""
        if purpose not in RESULT_PURPOSES:
            raise ValueError(f"purpose has to be one of: {', '.join(RESULT_PURPOSES)}")
        with self._shelf.staging() as folder:
            if isinstance(source, bytes):
                (folder / _DATA).write_bytes(source)
            else:
                shutil.copyfile(source, folder / _DATA)
            with (folder / _DATA).open("rb") as stream:
                sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
            draft = self._draft(folder, filename, purpose, sha256)
            self._shelf.publish(folder, draft)
            return draft

    def get(self, file_id: str) -> FileRecord:
        """Raises ``NotFound``; a file past its time is removed here."""
        record = self._shelf.read(file_id)
        if record is None:
            raise NotFound("There is no such file; it may have been deleted or have expired.", param="file_id")
        return record

    def list(
        self, *, purpose: str | None = None, after: str | None = None, limit: int = 10000, order: str = "desc"
    ) -> Page:
        """Files by time of creation, newest first unless ``order`` is "asc"; raises ``InvalidInput``."""
        if not 1 <= limit <= 10000:
            raise InvalidInput("limit has to be between 1 and 10000.", param="limit")
        if order not in ("asc", "desc"):
            raise InvalidInput("order has to be asc or desc.", param="order")
        names = self._shelf.names()
        if order == "desc":
            names.reverse()
        if after is not None:
            if after not in names:
                message = "after names no file of this list; start again without it."
                raise InvalidInput(message, code="invalid_cursor", param="after")
            names = names[names.index(after) + 1 :]
        items: list[FileRecord] = []
        for name in names:
            record = self._shelf.read(name)
            if record is not None and purpose in (None, record.purpose):
                if len(items) == limit:
                    return Page(tuple(items), has_more=True)
                items.append(record)
        return Page(tuple(items), has_more=False)

    def delete(self, file_id: str) -> None:
        """Raises ``NotFound``."""
        self.get(file_id)
        self._shelf.remove(file_id)

    def content_path(self, file_id: str) -> Path:
        """The bytes as they were sent; raises ``NotFound``."""
        return self._shelf.folder(self.get(file_id).id) / _DATA

    def rows_path(self, file_id: str) -> Path:
        """The rows as CSV or JSONL: the file itself, for Parquet the rows that a worker wrote beside it.

        Raises ``NotFound``, or ``Unavailable`` (code file_not_ready) until a worker has done so.
        """
        record = self.get(file_id)
        path = self._shelf.folder(record.id) / (_ROWS if record.format == "parquet" else _DATA)
        if not path.exists():
            raise _not_ready()
        return path

    def contact_sheet_path(self, file_id: str) -> Path:
        """A JPEG of some of the pictures of a zip; raises ``NotFound`` (contact_sheet_not_found) if there is none."""
        path = self._shelf.folder(self.get(file_id).id) / SHEET_FILE
        if not path.exists():
            message = "This file has no contact sheet: only zips of pictures that can be used have one."
            raise NotFound(message, code="contact_sheet_not_found", param="file_id")
        return path

    def report(self, file_id: str) -> Report:
        """What was found in the file; raises ``NotFound`` (code report_not_found) if it was not inspected (yet)."""
        record = self.get(file_id)
        try:
            return Report.model_validate_json((self._shelf.folder(record.id) / _REPORT).read_bytes())
        except FileNotFoundError:
            waits = record.status == "uploaded"
            message = "A worker has not read this file yet; ask again soon." if waits else "This file has no report."
            raise NotFound(message, code="report_not_found", param="file_id") from None

    def revalidate(self, file_id: str, *, task: str | None = None, columns: Mapping[str, str] | None = None) -> Report:
        """The report under another task or other columns (role -> column); nothing that is stored changes.

        ``task`` None: the one that the data are for. Files of a zip are not decoded again. Raises ``NotFound``,
        ``Unavailable`` (file_not_ready) and ``InvalidInput`` (unknown_task, unknown_column).
        """
        record, stored = self.get(file_id), self._stored_report(file_id)
        if record.format == "zip":
            if stored is None:
                raise _not_ready()
            return self._look_at(record, task, columns).report
        if stored is not None and stored.format == "parquet" and stored.fatal and not self._has_rows(file_id):
            return stored
        path = self.rows_path(file_id)
        report = inspect_file(path, task=task, limits=self._limits, columns=columns, file=file_id)
        return self._of_original(report, file_id)

    def inspect(
        self,
        file_id: str,
        *,
        task: str | None = None,
        columns: Mapping[str, str] | None = None,
        progress: Progress | None = None,
    ) -> Report:
        """As ``revalidate``, and store the report and the status that follows from it; a zip that waits is read now.

        ``progress(done, total)`` is called for each file to decode; what it raises ends the inspection.
        """
        record = self.get(file_id)
        if record.format == "zip":
            found = self._look_at(record, task, columns, progress=progress)
            report = found.report
            with self._shelf.staging() as folder:
                for path in keep(folder, found):
                    self._shelf.move_in(file_id, path, name=path.name)
        else:
            report = self.revalidate(file_id, task=task, columns=columns)
        self.settle(file_id, report)
        return report

    def settle(self, file_id: str, report: Report) -> FileRecord:
        """Store a report and the status that follows from it; raises ``NotFound``."""
        record = judged(self.get(file_id), report)
        self._shelf.replace(record, name=_REPORT, text=report.model_dump_json())
        return record

    def attach_rows(self, file_id: str, rows: Path) -> None:
        """Move the rows that a worker has read from a Parquet file, as JSONL, beside it; raises ``NotFound``."""
        self._shelf.move_in(self.get(file_id).id, rows, name=_ROWS)

    def examples(self, file_id: str, report: Report | None = None) -> Iterator[Example]:
        """The usable rows under ``report`` (by default the stored one), streamed."""
        return read_examples(self.rows_path(file_id), report or self.report(file_id), self._survey(file_id))

    def _check_size(self, size: int) -> None:
        if size > self._max_bytes:
            message = f"The file is larger than {self._max_bytes:,} bytes; send a part of it."
            raise TooLarge(message, code="body_too_large", param="file")

    def _draft(self, folder: Path, filename: str | None, purpose: str, sha256: str) -> FileRecord:
        return FileRecord(
            id=new_file_id(),
            bytes=(folder / _DATA).stat().st_size,
            created_at=int(time.time()),
            filename=safe_name(filename),
            purpose=purpose,
            status="processed",
            sha256=sha256,
        )

    def _inspect_staged(self, folder: Path, draft: FileRecord) -> FileRecord:
        kind = sniff_file(folder / _DATA)
        draft = draft.model_copy(update={"format": kind})
        if kind == "parquet":
            return draft.model_copy(update={"status": "uploaded", "needs_worker": True})
        if kind == "zip":
            return self._inspect_staged_zip(folder, draft)
        report = inspect_file(folder / _DATA, limits=self._limits, file=draft.id)
        (folder / _REPORT).write_text(report.model_dump_json(), encoding="utf-8")
        return judged(draft, report)

    def _inspect_staged_zip(self, folder: Path, draft: FileRecord) -> FileRecord:
        try:
            found = inspect_zip(folder / _DATA, Asked(file=draft.id), limits=self._limits, bounded=True)
        except TooMuch as error:
            error.survey.write(folder / SURVEY_FILE)
            return draft.model_copy(update={"status": "uploaded", "needs_worker": True})
        keep(folder, found)
        (folder / _REPORT).write_text(found.report.model_dump_json(), encoding="utf-8")
        return judged(draft, found.report)

    def _look_at(
        self, record: FileRecord, task: str | None, columns: Mapping[str, str] | None, progress: Progress | None = None
    ) -> Inspected:
        path, known = self._shelf.folder(record.id) / _DATA, self._survey(record.id)
        asked = Asked(task, columns or {}, record.id)
        return inspect_zip(path, asked, limits=self._limits, survey=known, progress=progress)

    def _survey(self, file_id: str) -> Survey:
        return read_survey(self._shelf.folder(file_id))

    def _of_original(self, report: Report, file_id: str) -> Report:
        original = self.get(file_id).format
        return report.model_copy(update={"format": original}) if original == "parquet" else report

    def _stored_report(self, file_id: str) -> Report | None:
        try:
            return self.report(file_id)
        except NotFound as error:
            if error.code == "report_not_found":
                return None
            raise

    def _has_rows(self, file_id: str) -> bool:
        return (self._shelf.folder(file_id) / _ROWS).exists()


def _not_ready() -> Unavailable:
    message = "A worker has not read this file yet; ask again in a few seconds."
    return Unavailable(message, code="file_not_ready", param="file_id", retry_after=2)
