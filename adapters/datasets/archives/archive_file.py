"""A file inside a stored zip, read when it is needed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from adapters.datasets.archives.archive import Archive


@dataclass(frozen=True, slots=True)
class ArchiveFile:
    """The entry ``name`` of the zip at ``path``. Cheap to hold and to send to another process."""

    path: Path
    name: str

    def read(self) -> bytes:
        """The content; raises ``InvalidInput`` (damaged_entry) if it cannot be read, ``KeyError`` if it is not there.

        The zip stays open for the next reader of the same process.
        """
        state = os.stat(self.path)
        return _opened(self.path, os.getpid(), state.st_ino, state.st_mtime_ns).read(self.name)


@lru_cache(maxsize=4)
def _opened(path: Path, process: int, inode: int, changed: int) -> Archive:
    """By process, for after a fork both would move one position; by inode and time, for a path may be used again."""
    return Archive(path)
