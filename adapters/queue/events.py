"""A job's story: its events (a stream, oldest dropped after about a thousand) and its list of checkpoints."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

import redis

from adapters.jobs import JobCheckpoint, JobEvent
from adapters.queue import keys
from adapters.queue.connection import reaching
from zoo.errors import InvalidInput

Item = TypeVar("Item")

EVENT_ID = re.compile(r"([0-9]{1,20})-([0-9]{1,20})")
BEYOND = 1 << 64  # of both halves of an id
WAIT_MILLISECONDS = 1000  # below the socket's timeout of 2 s


@dataclass(frozen=True)
class Page(Generic[Item]):
    """Some items of a listing, and whether there are more behind the last."""

    items: tuple[Item, ...]
    has_more: bool


def unknown_cursor() -> InvalidInput:
    """The error for an ``after`` that no listing has given out."""
    return InvalidInput("'after' is not an id of this list; use the id of the last item you got.", param="after")


class Events:
    """Reads events and checkpoints of jobs; writing is part of the scripts."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def page(self, job_id: str, *, after: str | None, limit: int, newest_first: bool) -> Page[JobEvent]:
        """Up to ``limit`` events beyond ``after`` in the asked order. Raises ``InvalidInput`` for a foreign cursor."""
        if after is not None and not _is_id(after):
            raise unknown_cursor()
        key = keys.events(job_id)
        with _known_cursor(), reaching():
            if newest_first:
                found = self._client.xrevrange(key, max=f"({after}" if after else "+", min="-", count=limit + 1)
            else:
                found = self._client.xrange(key, min=f"({after}" if after else "-", max="+", count=limit + 1)
        events = _events(found)
        return Page(tuple(events[:limit]), len(events) > limit)

    def wait(self, job_id: str, *, after: str | None) -> list[JobEvent]:
        """Events beyond ``after`` (None: from the first), waiting up to a second for the first."""
        with reaching():
            found = self._client.xread({keys.events(job_id): after or "0-0"}, count=100, block=WAIT_MILLISECONDS)
        streams = list(cast("Mapping[str, Any]", found).values()) if isinstance(found, dict) else _streams(found)
        return [event for stream in streams for event in _events(stream)]

    def checkpoints(self, job_id: str, *, after: str | None, limit: int) -> Page[JobCheckpoint]:
        """Checkpoints, newest first. Raises ``InvalidInput`` for a foreign cursor."""
        with reaching():
            rows = cast("list[str]", self._client.lrange(keys.checkpoints(job_id), 0, -1))
        known = [_checkpoint(job_id, row) for row in reversed(rows)]
        if after is not None:
            ids = [checkpoint.id for checkpoint in known]
            if after not in ids:
                raise unknown_cursor()
            known = known[ids.index(after) + 1 :]
        return Page(tuple(known[:limit]), len(known) > limit)


def _is_id(text: str) -> bool:
    """Whether an event can have this id: Redis gives none to 0-0 and has no room for larger numbers."""
    found = EVENT_ID.fullmatch(text)
    halves = [int(half) for half in found.groups()] if found else [0]
    return any(halves) and max(halves) < BEYOND


@contextmanager
def _known_cursor() -> Iterator[None]:
    """Turn what Redis refuses as an id (the last there can be has nothing beyond it) into ``unknown_cursor``."""
    try:
        yield
    except redis.ResponseError as refused:
        if " ID " not in str(refused):
            raise
        raise unknown_cursor() from None


def _streams(found: Any) -> Iterator[Any]:
    for _, entries in found or []:
        yield entries


def _events(found: Any) -> list[JobEvent]:
    return [
        JobEvent(
            id=identity,
            created_at=int(fields["at"]) / 1_000_000,
            level=fields["level"],
            message=fields["message"],
            type=fields["type"],
            data=json.loads(fields["data"]),
        )
        for identity, fields in found
    ]


def _checkpoint(job_id: str, row: str) -> JobCheckpoint:
    number, created, step, metrics = json.loads(row)
    return JobCheckpoint(
        id=f"ftckpt-{job_id.removeprefix('ftjob-')}-{int(number)}",
        created_at=int(created) / 1_000_000,
        step=int(step),
        metrics=json.loads(metrics),
    )
