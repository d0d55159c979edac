"""Who works: each worker keeps a short-lived hash in Redis, on Redis's clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import redis

from adapters.queue import keys
from adapters.queue.connection import reaching


@dataclass(frozen=True)
class WorkerInfo:
    """One worker as last heard of; ``heartbeat_age`` in seconds, ``job_id`` None while it is idle."""

    name: str
    pid: int
    host: str
    heartbeat_age: float
    job_id: str | None


@dataclass(frozen=True)
class Identity:
    """What a worker says of itself."""

    name: str
    pid: int
    host: str


class Workers:
    """The list of live workers."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def beat(self, worker: Identity, *, job_id: str | None, ttl_seconds: int) -> None:
        """Announce a worker for ``ttl_seconds`` more."""
        key = keys.worker(worker.name)
        with reaching():
            moment = _now(self._client)
            with self._client.pipeline() as pipeline:
                pipeline.sadd(keys.WORKERS, worker.name)
                pipeline.hset(
                    key,
                    mapping={"pid": worker.pid, "host": worker.host, "beat": f"{moment:.3f}", "job": job_id or ""},
                )
                pipeline.expire(key, ttl_seconds)
                pipeline.execute()

    def leave(self, name: str) -> None:
        """Take a worker off the list."""
        with reaching(), self._client.pipeline() as pipeline:
            pipeline.delete(keys.worker(name))
            pipeline.srem(keys.WORKERS, name)
            pipeline.execute()

    def all(self) -> tuple[WorkerInfo, ...]:
        """All workers whose hash has not expired; names of the others are forgotten."""
        with reaching():
            names = sorted(cast("set[str]", self._client.smembers(keys.WORKERS)))
            moment = _now(self._client)
            with self._client.pipeline(transaction=False) as pipeline:
                for name in names:
                    pipeline.hgetall(keys.worker(name))
                found = cast("list[dict[str, str]]", pipeline.execute())
            gone = [name for name, fields in zip(names, found, strict=True) if not fields]
            if gone:
                self._client.srem(keys.WORKERS, *gone)
        return tuple(
            WorkerInfo(
                name,
                int(fields["pid"]),
                fields["host"],
                _age(moment, fields),
                fields["job"] or None,
            )
            for name, fields in zip(names, found, strict=True)
            if fields
        )


def _age(moment: float, fields: dict[str, str]) -> float:
    return max(0.0, moment - float(fields["beat"]))


def _now(client: redis.Redis) -> float:
    whole, fraction = client.time()
    return whole + fraction / 1_000_000
