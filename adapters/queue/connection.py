"""Connections to Redis that give up in seconds, and the domain errors that their failures become."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from zoo.errors import Unavailable

CONNECT_TIMEOUT = 1.0
SOCKET_TIMEOUT = 2.0
RETRY_AFTER = 5.0

NO_ROOM = ("OOM command", "MISCONF", "READONLY")
LOST = (redis.ConnectionError, redis.TimeoutError)
"""What redis-py raises when the server cannot be reached (or is still loading its data)."""


def connect(url: str, *, text: bool = True, socket_timeout: float = SOCKET_TIMEOUT) -> redis.Redis:
    """A client that tries each command twice and does not connect before the first one; ``text`` decodes answers."""
    return redis.Redis.from_url(
        url,
        decode_responses=text,
        socket_connect_timeout=CONNECT_TIMEOUT,
        socket_timeout=socket_timeout,
        retry=Retry(ConstantBackoff(0.05), 1),
    )


def queue_unavailable() -> Unavailable:
    """The error for a Redis that does not answer."""
    return Unavailable(
        "The job queue does not answer at the moment; try again in a few seconds.",
        code="queue_unavailable",
        retry_after=RETRY_AFTER,
    )


@contextmanager
def reaching() -> Iterator[None]:
    """Turn a lost connection into ``Unavailable`` queue_unavailable, and a full server or disk into storage_full."""
    try:
        yield
    except LOST as lost:
        raise queue_unavailable() from lost
    except redis.ResponseError as refused:
        # Redis 6 wraps the answer in "Error running script …", Redis 7 does not.
        if any(word in str(refused) for word in NO_ROOM) or isinstance(refused, redis.OutOfMemoryError):
            raise Unavailable(
                "The job queue has no room left to write to; free disk or memory of its server and try again.",
                code="storage_full",
                retry_after=RETRY_AFTER,
            ) from refused
        raise
