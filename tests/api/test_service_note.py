from __future__ import annotations

import json
import os
from pathlib import Path

from api.service_note import noted, running_service


def test_a_service_is_noted_only_while_it_runs(tmp_path: Path) -> None:
    with noted(tmp_path / "home", "http://127.0.0.1:5"):
        found = running_service(tmp_path / "home")
        assert found is not None and (found.url, found.pid) == ("http://127.0.0.1:5", os.getpid())
        assert [path.name for path in (tmp_path / "home").iterdir()] == ["service.json"]
    assert list((tmp_path / "home").iterdir()) == []


def test_the_note_of_the_next_service_is_not_removed_by_the_last(tmp_path: Path) -> None:
    with noted(tmp_path, "http://127.0.0.1:5"):
        note(tmp_path, "http://127.0.0.1:6", os.getppid())
    found = running_service(tmp_path)
    assert found is not None and found.url == "http://127.0.0.1:6"


def test_a_home_that_cannot_be_written_does_not_stop_a_service(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    with noted(tmp_path / "home", "http://127.0.0.1:5"):
        assert running_service(tmp_path / "home") is None


def test_a_torn_note_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "service.json").write_text('{"url": "http')
    assert running_service(tmp_path) is None


def test_the_note_of_a_dead_process_is_ignored(tmp_path: Path) -> None:
    note(tmp_path, "http://127.0.0.1:5", 2**22 + 1)
    assert running_service(tmp_path) is None


def note(home: Path, url: str, pid: int) -> None:
    (home / "service.json").write_text(json.dumps({"url": url, "pid": pid}))
