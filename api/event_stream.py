"""A job's events as they happen, in the form that OpenAI's clients read.

Polled, so that a stream holds no thread between two looks and ends at once when its client leaves.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from typing import Any

from adapters.jobs import JobEvent
from adapters.queue import JobQueue
from api.job_object import event_object
from api.services import in_thread
from zoo.errors import Unavailable, ZooError

POLL_SECONDS = 0.3
KEEP_ALIVE_SECONDS = 10.0
OUTAGE_SECONDS = 60.0  # a queue that restarts does not end a stream
PAGE = 100


async def frames(queue: JobQueue, job_id: str, closing: asyncio.Event) -> AsyncIterator[str]:
    """Server-sent events of a job until it is terminal, then ``[DONE]``; ends early when ``closing`` is set."""
    yield ": open\n\n"
    try:
        async for event in _events(queue, job_id, closing):
            yield _frame(event_object(event)) if event else ": keep-alive\n\n"
        if not closing.is_set():
            yield "data: [DONE]\n\n"
    except ZooError as error:
        fault = {"message": error.message, "type": "server_error", "param": None, "code": error.code}
        yield f"event: error\ndata: {json.dumps({'error': fault})}\n\n"


def _frame(event: dict[str, Any]) -> str:
    """One event with the empty line without which clients drop it."""
    return f"event: {event['object']}\ndata: {json.dumps(event)}\n\n"


async def _events(queue: JobQueue, job_id: str, closing: asyncio.Event) -> AsyncIterator[JobEvent | None]:
    """All events from the first on; None when nothing happened for a while."""
    cursor: str | None = None
    spoke = reached = time.monotonic()
    while not closing.is_set():
        try:
            job = await in_thread(queue.get, job_id)
            page = await in_thread(queue.events, job_id, after=cursor, limit=PAGE, newest_first=False)
        except Unavailable:
            if time.monotonic() - reached > OUTAGE_SECONDS:
                raise
        else:
            reached = time.monotonic()
            for event in page.items:
                cursor, spoke = event.id, reached
                yield event
            if page.items and page.has_more:
                continue
            if job.status.terminal:  # read before the events, so none can follow
                return
        if time.monotonic() - spoke > KEEP_ALIVE_SECONDS:
            spoke = time.monotonic()
            yield None
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(closing.wait(), POLL_SECONDS)
