"""Where a running `zoo serve` is: ``service.json`` in its home, ``{"url", "pid"}``, for the commands beside it."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

NAME = "service.json"


@dataclass(frozen=True)
class ServiceNote:
    """The address that a service answers at, and its process."""

    url: str
    pid: int


@contextmanager
def noted(home: Path, url: str) -> Iterator[None]:
    """Keep the note of this process in ``home`` during the block; a home that cannot be written goes without."""
    note = ServiceNote(url, os.getpid())
    with suppress(OSError):
        _write(home, note)
    try:
        yield
    finally:
        if _read(home) == note:  # else another service has taken the place
            with suppress(OSError):
                (home / NAME).unlink()


def running_service(home: Path) -> ServiceNote | None:
    """The service that runs on ``home``, or None; None too for the note of a dead process."""
    note = _read(home)
    return note if note is not None and _lives(note.pid) else None


def _write(home: Path, note: ServiceNote) -> None:
    home.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(prefix=f".{NAME}-", dir=home)
    with os.fdopen(handle, "w") as stream:
        json.dump(asdict(note), stream)
    os.replace(partial, home / NAME)


def _read(home: Path) -> ServiceNote | None:
    try:
        noted = json.loads((home / NAME).read_text())
        return ServiceNote(str(noted["url"]), int(noted["pid"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _lives(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:  # it lives, under another user
        return True
    except (OSError, OverflowError):
        return False
    return True
