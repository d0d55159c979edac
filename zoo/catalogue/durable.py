"""Writes that survive a crash: a file is there whole or not at all, and stays there after power is lost."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zoo.errors import Unavailable

_NOT_WRITABLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES})


def sync_folder(folder: Path) -> None:
    """Make names created, renamed or removed in ``folder`` durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_file(path: Path, text: str) -> None:
    """Write a new file and force it to disk; its folder is not synced. Never writes through a link."""
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def replace_file(path: Path, text: str) -> None:
    """Replace ``path`` in one step: readers see the old text or the new one. One writer at a time."""
    draft = path.with_name(f".{path.name}.new")
    write_file(draft, text)
    os.replace(draft, path)
    sync_folder(path.parent)


@contextmanager
def storage_errors() -> Iterator[None]:
    """Turn a full or read-only disk into ``Unavailable`` (``storage_full``)."""
    try:
        yield
    except OSError as error:
        if error.errno in _NOT_WRITABLE:
            fault = (
                "The disk of the model store is full or not writable: free space or give this user access, then retry."
            )
            raise Unavailable(fault, code="storage_full", retry_after=60) from error
        raise
