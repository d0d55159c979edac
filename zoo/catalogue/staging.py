"""Folders in which a model version is put together before it is published, on the file system of the store."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from zoo.errors import InvalidInput

KEEP_SECONDS = 24 * 3600


class Staging:
    """Hands out staging folders and removes what killed processes left behind."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """A fresh folder, removed on exit unless it was moved away; locked for as long as its owner lives."""
        self._root.mkdir(parents=True, exist_ok=True)
        self.sweep()
        path = self._root / uuid.uuid4().hex
        with _lock_of(path).acquire():
            try:
                path.mkdir()
                yield path
            finally:
                _remove(path)

    @contextmanager
    def kept(self, key: str) -> Iterator[Path]:
        """The folder of ``key``, as an attempt that failed has left it; another one while somebody else has that.

        Removed at the end, and when ``InvalidInput`` is raised, as what is there will be no better next time.
        """
        self._root.mkdir(parents=True, exist_ok=True)
        self.sweep()
        path = self._root / f"kept-{hashlib.sha256(key.encode()).hexdigest()[:32]}"
        lock = _lock_of(path)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            with self.folder() as path:
                yield path
            return
        try:
            path.mkdir(exist_ok=True)
            os.utime(path)
            yield path
        except InvalidInput:
            _remove(path)
            raise
        else:
            _remove(path)
        finally:
            lock.release()

    def discard(self, folder: Path) -> None:
        """Take ``folder`` out of sight by one rename, then remove it."""
        self._root.mkdir(parents=True, exist_ok=True)
        trash = self._root / uuid.uuid4().hex
        folder.rename(trash)
        shutil.rmtree(trash, ignore_errors=True)

    def sweep(self) -> None:
        """Remove folders older than a day whose owner is gone."""
        oldest = time.time() - KEEP_SECONDS
        for path in list(self._root.iterdir()):
            with suppress(OSError):
                if path.suffix != ".lock" and path.stat(follow_symlinks=False).st_mtime < oldest:
                    _remove_unless_locked(path)
                elif path.stat(follow_symlinks=False).st_mtime < oldest and not path.with_suffix("").exists():
                    path.unlink()


def _remove_unless_locked(path: Path) -> None:
    try:
        with _lock_of(path).acquire(blocking=False):
            _remove(path)
    except Timeout:
        return


def _remove(path: Path) -> None:
    """With its lock, which the caller has."""
    shutil.rmtree(path, ignore_errors=True)
    _lock_path(path).unlink(missing_ok=True)


def _lock_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")


def _lock_of(path: Path) -> FileLock:
    # thread_local: the folder may be released by another thread than the one that opened it.
    return FileLock(_lock_path(path), thread_local=False, preserve_lock_file=True)
