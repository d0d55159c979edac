"""The process: refusals before it starts, a quiet end at SIGTERM, and nothing left behind after kill -9."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from adapters.queue import JobQueue
from api.address import address_of, listen
from api.serving import serve
from tests.api.live import running
from tests.api.test_predict import wait_until
from zoo.settings import Settings


class Process:
    """A `zoo serve` of its own, on a free port."""

    def __init__(self, home: Path, **environment: str) -> None:
        command = [
            sys.executable,
            "-c",
            "from api.serving import serve; from zoo.settings import Settings; exit(serve(Settings()))",
        ]
        own = {"ZOO_HOME": str(home), "ZOO_PORT": "0", "ZOO_DRAIN_SECONDS": "5", **environment}
        self.log = home / "stderr.txt"
        with self.log.open("wb") as log:
            self.child = subprocess.Popen(
                command, env={**os.environ, **own}, stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert self.child.stdout is not None
        line = self.child.stdout.readline()
        assert line.startswith("AdaptZoo is ready at http://127.0.0.1:")
        self.url = line.split()[-1]

    def descendants(self) -> set[int]:
        """Process ids of all children and grandchildren that run."""
        found: set[int] = set()
        fresh = {self.child.pid}
        while fresh:
            fresh = {pid for parent in fresh for pid in children_of(parent)} - found
            found |= fresh
        return found


def children_of(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def lives(pid: int) -> bool:
    """Whether a process runs; one that ended and waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Starts processes and ends them after the test."""
    started: list[Process] = []

    def begin(**environment: str) -> Process:
        started.append(Process(tmp_path, **environment))
        return started[-1]

    yield begin
    for process in started:
        process.child.kill()
        process.child.wait()
        assert process.child.stdout is not None
        process.child.stdout.close()


def test_a_taken_port_is_one_line_and_exit_78(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert serve(settings.model_copy(update={"port": port})) == 78
    captured = capsys.readouterr()
    assert captured.err == f"zoo serve: port {port} of host 127.0.0.1 is in use: choose another (ZOO_PORT, ZOO_HOST).\n"
    assert captured.out == ""


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])
def test_row_68_an_open_address_without_a_key_is_refused(
    settings: Settings, capsys: pytest.CaptureFixture[str], host: str
) -> None:
    assert serve(settings.model_copy(update={"host": host})) == 78
    error = capsys.readouterr().err
    assert "ZOO_API_KEY" in error
    assert error.count("\n") == 1


def test_an_address_of_another_machine_is_exit_78(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert serve(settings.model_copy(update={"host": "192.0.2.1", "allow_anonymous": True})) == 78
    assert "ZOO_HOST" in capsys.readouterr().err


def test_the_address_to_open_is_one_that_a_browser_can_open() -> None:
    with listen("0.0.0.0", 0) as listener:
        assert address_of(listener) == f"http://localhost:{listener.getsockname()[1]}"


def test_a_service_of_its_own_starts_everything_and_ends_it_at_sigterm(
    start: Callable[..., Process], tmp_path: Path
) -> None:
    process = start()
    assert httpx.get(f"{process.url}/readyz", trust_env=False).json() == {"status": "ready", "reasons": []}
    wait_until(lambda: len(process.descendants()) >= 2, 20)  # Redis and a worker
    children = process.descendants()
    assert (tmp_path / "service.json").exists()
    process.child.send_signal(signal.SIGTERM)
    assert process.child.wait(30) == 0
    wait_until(lambda: not any(map(lives, children)), 10)
    assert not (tmp_path / "service.json").exists()


@pytest.mark.parametrize("seconds", [0, 0.2, 0.5, 1])
def test_a_service_that_ends_while_it_still_starts_ends_as_quietly(
    start: Callable[..., Process], seconds: float
) -> None:
    process = start()
    time.sleep(seconds)
    children = process.descendants()
    process.child.send_signal(signal.SIGTERM)
    assert process.child.wait(30) == 0
    wait_until(lambda: not any(map(lives, children)), 10)
    assert "Traceback" not in process.log.read_text()


def test_kill_9_of_the_service_ends_its_redis_and_its_worker(start: Callable[..., Process]) -> None:
    process = start()
    wait_until(lambda: len(process.descendants()) >= 2, 20)
    children = process.descendants()
    process.child.kill()
    wait_until(lambda: not any(map(lives, children)), 10)


def test_with_a_redis_given_nothing_else_is_started(start: Callable[..., Process], redis_url: str) -> None:
    process = start(ZOO_REDIS_URL=redis_url)
    assert httpx.get(f"{process.url}/v1/jobs", trust_env=False).status_code == 200
    assert process.descendants() == set()
    process.child.send_signal(signal.SIGINT)
    assert process.child.wait(10) == 0


def test_at_sigterm_running_requests_finish_while_readiness_says_no(settings: Settings) -> None:
    answers: list[int] = []
    with running(settings, None) as own, own.client() as client:
        own.loader.gate.clear()

        def ask() -> None:
            with own.client() as other:
                answers.append(other.post("/models/tickets", json={"inputs": "a"}).status_code)

        asking = threading.Thread(target=ask)
        asking.start()
        wait_until(lambda: own.loader.held == 1)
        own.server.handle_exit(signal.SIGTERM, None)
        wait_until(lambda: client.get("/readyz").status_code == 503)
        assert client.get("/readyz").json()["reasons"] == ["draining: this process is about to end"]
        assert client.get("/livez").status_code == 200
        own.server._loop.call_soon_threadsafe(own.loader.gate.set)
        asking.join(10)
    assert answers == [200]


def test_a_request_that_outlasts_the_drain_is_answered_503(settings: Settings) -> None:
    answers: list[int] = []
    short = settings.model_copy(update={"drain_seconds": 0.2})
    with running(short, None) as own:
        own.loader.gate.clear()

        def ask() -> None:
            with own.client() as other:
                answers.append(other.post("/models/tickets", json={"inputs": "a"}).status_code)

        asking = threading.Thread(target=ask)
        asking.start()
        wait_until(lambda: own.loader.held == 1)
        own.server.handle_exit(signal.SIGTERM, None)
        asking.join(10)
    assert answers == [503]


def test_an_open_stream_does_not_hold_the_end_up(settings: Settings, redis_url: str) -> None:
    with running(settings.model_copy(update={"drain_seconds": 60.0}), JobQueue(redis_url, settings)) as own:
        with own.client() as client:
            job = client.post("/v1/models", json={"id": "bert-base"}).json()
            with client.stream("GET", f"/v1/jobs/{job['id']}/events?stream=true") as stream:
                next(stream.iter_lines())
                own.server.handle_exit(signal.SIGTERM, None)
                wait_until(lambda: own.server.should_exit, 10)
    assert own.server.started
