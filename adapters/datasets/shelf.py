"""Folders of files on disk: each is published, replaced and removed by one rename."""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from adapters.datasets.records import FileRecord
from zoo.errors import NotFound, Unavailable

_ID = re.compile(r"file-[0-9a-f]{24}")
_RECORD = "file.json"
_INCOMING = ".incoming"
_STALE_SECONDS = 24 * 3600


class Shelf:
    """The folder ``files``; safe to use from several processes."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def folder(self, file_id: str) -> Path:
        """Where a file lies; ``file_id`` is that of a record."""
        return self._root / file_id

    def names(self) -> list[str]:
        """Ids of all files, the oldest first."""
        return sorted(path.name for path in self._root.glob("file-*"))

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """A folder on the file system of the store, gone afterwards unless published; a full disk is Unavailable."""
        incoming = self._root / _INCOMING
        try:
            incoming.mkdir(parents=True, exist_ok=True)
            _remove_stale(incoming)
            folder = Path(tempfile.mkdtemp(dir=incoming))
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
                message = "The service has no room left for files; try again later."
                raise Unavailable(message, code="storage_full", retry_after=30) from error
            raise

    def publish(self, folder: Path, record: FileRecord) -> None:
        """Make a staged folder visible under the record's id."""
        for path in folder.iterdir():
            _sync(path)
        _write(folder / _RECORD, record.model_dump_json())
        os.chmod(folder, 0o755)
        os.rename(folder, self._root / record.id)
        _sync(self._root)

    def read(self, file_id: str) -> FileRecord | None:
        """None for an unknown id, and for a file past its time, which is removed."""
        if not _ID.fullmatch(file_id):
            return None
        try:
            record = FileRecord.model_validate_json((self._root / file_id / _RECORD).read_bytes())
        except FileNotFoundError:
            return None
        if record.expires_at is not None and record.expires_at <= time.time():
            self.remove(file_id)
            return None
        return record

    def remove(self, file_id: str) -> None:
        """It vanishes in one step."""
        incoming = self._root / _INCOMING
        incoming.mkdir(exist_ok=True)
        grave = Path(tempfile.mkdtemp(dir=incoming))
        try:
            os.rename(self._root / file_id, grave / file_id)
        except FileNotFoundError:
            pass  # another process was faster
        shutil.rmtree(grave, ignore_errors=True)

    def replace(self, record: FileRecord, *, name: str, text: str) -> None:
        """Write the file ``name`` and then the record; raises ``NotFound`` if the folder was removed meanwhile."""
        folder = self.folder(record.id)
        try:
            _write(folder / name, text)
            _write(folder / _RECORD, record.model_dump_json())
        except FileNotFoundError:
            raise NotFound("The file was deleted meanwhile.", param="file_id") from None

    def move_in(self, file_id: str, source: Path, *, name: str) -> None:
        """Move a finished file of the same file system into the folder; raises ``NotFound`` as ``replace`` does."""
        try:
            _sync(source)
            os.replace(source, self.folder(file_id) / name)
        except FileNotFoundError:
            raise NotFound("The file was deleted meanwhile.", param="file_id") from None


def _write(path: Path, text: str) -> None:
    """Replace ``path`` in one step, safe against a crash."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".tmp")
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, path)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove_stale(incoming: Path) -> None:
    """Uploads that a killed process left behind."""
    limit = time.time() - _STALE_SECONDS
    for path in incoming.iterdir():
        try:
            if path.stat().st_mtime < limit:
                shutil.rmtree(path, ignore_errors=True)
        except FileNotFoundError:
            continue  # its upload has just ended
