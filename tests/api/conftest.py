"""One server with a real queue for the whole session; tests that need other settings start their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from adapters.queue import EmbeddedRedis, JobQueue
from tests.api.hearing import Hearing, hearing
from tests.api.live import Live, running
from tests.imports import Imports
from zoo.settings import Settings


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis of this test session's own."""
    embedded = EmbeddedRedis(tmp_path_factory.mktemp("redis"))
    yield embedded.start()
    embedded.stop()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Small limits in a fresh home, untouched by the environment's .env file."""
    return settings_in(tmp_path)


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> Iterator[Live]:
    """The shared server; jobs are accepted and wait, since no worker runs."""
    home = tmp_path_factory.mktemp("home")
    shared = settings_in(home)
    with running(shared, JobQueue(redis_url, shared)) as server:
        yield server


@pytest.fixture(scope="session")
def client(live: Live) -> Iterator[httpx.Client]:
    """A plain client of the shared server."""
    with live.client() as shared:
        yield shared


@pytest.fixture(scope="session")
def ears(imports: Imports, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hearing]:
    """A shared service that hears."""
    home = tmp_path_factory.mktemp("hearing")
    with hearing(imports, settings_in(home, threads=1), tmp_path_factory.mktemp("whisper")) as service:
        yield service


def settings_in(home: Path, **changes: object) -> Settings:
    """Settings for tests: bodies of 1 MiB, uploads of 2 MiB, 100 items; room for the jobs of all who share a Redis."""
    small: dict[str, object] = {"max_body_bytes": 1 << 20, "max_upload_bytes": 2 << 20, "max_items": 100}
    small |= {"max_queued_jobs": 10_000, "max_jobs_per_caller": 10_000}
    return Settings(_env_file=None, home=home, drain_seconds=2.0, **(small | changes))  # type: ignore[arg-type]
