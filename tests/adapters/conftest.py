"""A real Redis server for the tests of everything that uses the job queue."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from adapters.queue import EmbeddedRedis, JobQueue
from tests.adapters.queue.machine import Machine


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One server for all tests that do not hurt it."""
    server = EmbeddedRedis(tmp_path_factory.mktemp("server"))
    yield server.start()
    server.stop()


@pytest.fixture
def machine(redis_url: str, tmp_path: Path) -> Iterator[Machine]:
    """An empty queue on the shared server."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    machine = Machine(tmp_path, redis_url)
    yield machine
    machine.close()


@pytest.fixture
def queue(machine: Machine) -> JobQueue:
    """The door to the empty queue."""
    return machine.queue
