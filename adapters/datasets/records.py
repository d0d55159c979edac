"""The record of one stored file, and a page of them."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

from adapters.datasets.report import Report
from zoo.errors import InvalidInput

FINE_TUNE = "fine-tune"
UPLOAD_PURPOSES = (FINE_TUNE, "batch", "assistants", "vision", "user_data", "evals")
RESULT_PURPOSES = ("fine-tune-results", "batch_output", "assistants_output")
MAX_NAME = 255
_EXPIRY_SECONDS = (3600, 2592000)

FileStatus = Literal["uploaded", "processed", "error"]


class FileRecord(BaseModel):
    """Times are seconds since 1970. ``filename`` is a label; ``format`` is known for data files only."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    bytes: int
    created_at: int
    filename: str
    purpose: str
    status: FileStatus
    status_details: str | None = None
    sha256: str
    format: str | None = None
    expires_at: int | None = None
    needs_worker: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """Some records, and whether more follow."""

    items: tuple[FileRecord, ...]
    has_more: bool


def new_file_id() -> str:
    """``file-`` and 24 hex digits: microseconds since 1970, then chance; ids sort by time of creation."""
    return f"file-{time.time_ns() // 1000:013x}{secrets.token_hex(6)[:11]}"


def safe_name(name: str | None) -> str:
    """A client's file name as a label: no folders, no unprintable characters, at most 255 characters."""
    last = (name or "").replace("\\", "/").rsplit("/", 1)[-1]
    label = "".join(character for character in last if character.isprintable()).strip()
    return label[:MAX_NAME] if label.strip(".") else "data"


def judged(record: FileRecord, report: Report) -> FileRecord:
    """The record with the status that follows from a report."""
    fatal = report.fatal
    update = {
        "status": "error" if fatal else "processed",
        "status_details": f"{fatal.message} {fatal.fix}" if fatal else None,
        "needs_worker": False,
    }
    return record.model_copy(update=update)


def check_expiry(seconds: int | None) -> None:
    """Raise ``InvalidInput`` for a time of life that no file may have."""
    least, most = _EXPIRY_SECONDS
    if seconds is not None and not least <= seconds <= most:
        raise InvalidInput(f"expires_after has to be {least} to {most} seconds.", param="expires_after")
