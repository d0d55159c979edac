from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from api.cli import app
from api.commands import checks
from tests.api.canned_service import CannedService, canned_service


@pytest.fixture
def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


@pytest.fixture
def service() -> Iterator[CannedService]:
    with canned_service() as running:
        yield running


def doctor(home: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["doctor", "--offline", "--json", "--home", str(home), *words])


def verdict(result: Result, name: str) -> dict[str, Any]:
    found = [check for check in json.loads(result.stdout)["checks"] if check["name"] == name]
    return dict(found[0])


def test_every_check_has_a_verdict_and_what_is_missing_has_a_fix(tmp_path: Path, free_port: int) -> None:
    found = json.loads(doctor(tmp_path, "--port", str(free_port)).stdout)
    names = [check["name"] for check in found["checks"]]
    assert names == [
        "Python",
        "training libraries",
        "Redis",
        "home folder",
        "free disk",
        "cores",
        "memory",
        "package index",
        "service",
    ]
    assert all(check["fix"] for check in found["checks"] if check["verdict"] == "missing")


def test_looking_changes_nothing(tmp_path: Path, free_port: int) -> None:
    doctor(tmp_path / "home", "--port", str(free_port))
    assert list(tmp_path.iterdir()) == []


def test_missing_training_libraries_fail_with_the_way_to_get_them(
    tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "TRAINING_LIBRARIES", ("json", "no_such_module"))
    result = doctor(tmp_path, "--port", str(free_port))
    assert result.exit_code == 1
    found = verdict(result, "training libraries")
    assert found["verdict"] == "missing"
    assert found["found"] == "not installed: no_such_module" and "adaptzoo[train]" in found["fix"]


def test_no_redis_program_fails_unless_a_server_is_set(
    tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    flags = ["--port", str(free_port)]
    assert verdict(doctor(tmp_path, *flags), "Redis")["verdict"] == "missing"
    assert verdict(doctor(tmp_path, *flags, "--redis-url", "redis://here"), "Redis")["verdict"] == "ok"


def test_a_port_that_another_program_holds_fails(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        result = doctor(tmp_path, "--port", str(holder.getsockname()[1]), "--host", "127.0.0.1")
        assert verdict(result, "service")["verdict"] == "missing"
        assert result.exit_code == 1


def test_a_running_service_is_found(tmp_path: Path, service: CannedService) -> None:
    service.says("GET", "/livez", {})
    service.says("GET", "/readyz", {})
    found = verdict(doctor(tmp_path, "--url", service.url), "service")
    assert (found["verdict"], found["found"]) == ("ok", f"runs at {service.url}")


def test_a_full_disk_fails_and_says_how_much_is_needed(
    tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "DISK_FOR_MODELS", 10**18)
    assert "free up" in verdict(doctor(tmp_path, "--port", str(free_port)), "free disk")["fix"]


def test_an_index_that_pip_does_not_reach_is_a_note_with_the_way_round(
    tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: Any, **__: Any) -> Any:
        raise subprocess.TimeoutExpired("pip", 1)

    monkeypatch.setattr("subprocess.run", unreachable)
    words = ["doctor", "--json", "--home", str(tmp_path), "--port", str(free_port)]
    found = verdict(CliRunner().invoke(app, words), "package index")
    assert found["verdict"] == "note" and "--folder" in found["fix"]


def test_people_get_a_table_and_a_last_word(tmp_path: Path, free_port: int) -> None:
    result = CliRunner().invoke(app, ["doctor", "--offline", "--home", str(tmp_path), "--port", str(free_port)])
    assert "Python" in result.stdout
    assert result.stdout.strip().splitlines()[-1].split()[1:] in (
        ["missing"],
        "is missing; go on with `zoo demo` or `zoo serve`".split(),
    )
