"""A service in which everything goes well, in the place of the one that a demo would start for itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from api.cli import app
from api.commands import demo, demo_run, follow
from api.commands.demo_service import DemoService
from tests.api.canned_service import (
    FILE,
    IMPORTED,
    JOB,
    REPORT,
    RUNNING,
    SUCCEEDED,
    CannedService,
    canned_service,
)
from zoo.settings import Settings


class StandIn(DemoService):
    """A demo service that somebody else runs."""

    def __init__(self, home: Path, settings: Settings, url: str) -> None:
        super().__init__(home, settings)
        self.url = url

    def __enter__(self) -> DemoService:
        self.home.mkdir(parents=True)
        self.log.write_text("a line of the log\n")
        return self


@contextmanager
def demo_service(monkeypatch: pytest.MonkeyPatch) -> Iterator[CannedService]:
    """What all demos ask for is answered: jobs, an import, an upload, an adaptation."""
    monkeypatch.setattr(follow, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(demo_run, "TIMED_REQUESTS", 3)
    with canned_service() as running:
        running.says("POST", "/v1/models", JOB | {"id": "ftjob-0"})
        running.says("GET", "/v1/jobs/ftjob-0", IMPORTED)
        running.says("GET", "/v1/fine_tuning/jobs", {"data": [SUCCEEDED, RUNNING | {"id": "ftjob-old"}]})
        running.says("POST", "/v1/jobs/ftjob-old/cancel", JOB)
        running.says("POST", "/v1/files", FILE)
        running.says("GET", "/v1/files/file-1/report", REPORT)
        running.says("POST", "/v1/fine_tuning/jobs", JOB)
        running.says("GET", "/v1/jobs/ftjob-1", RUNNING, SUCCEEDED)
        monkeypatch.setattr(demo, "DemoService", lambda home, settings: StandIn(home, settings, running.url))
        yield running


def run_demo(tmp_path: Path, *words: str) -> Result:
    """`zoo demo` with these words, on a home of its own."""
    return CliRunner().invoke(app, ["demo", *words, "--home", str(tmp_path / "home")])
