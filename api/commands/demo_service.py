"""The service that `zoo demo` runs for itself: started on a free port, ended with the demo whatever happens."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from api.client import Client
from api.service_note import running_service
from zoo.errors import Unavailable
from zoo.settings import Settings

START_SECONDS = 60.0
STOP_SECONDS = 30.0
TAIL_LINES = 12
TETHER = (sys.executable, "-P", "-m", "api.tether")
ZOO = (sys.executable, "-P", "-m", "api.cli")


class DemoService:
    """`zoo serve` as a child process with its own home; ``Unavailable`` if it does not come up.

    ``program`` is what takes the place of `zoo` in that command.
    """

    def __init__(self, home: Path, settings: Settings, *, program: Sequence[str] = ZOO) -> None:
        self.home = home
        self.log = home / "service.log"
        self.url = ""
        self._key = settings.api_key
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> DemoService:
        self._refuse_second()
        self.home.mkdir(parents=True, exist_ok=True)
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        words = ["serve", "--home", str(self.home), "--host", "127.0.0.1", "--port", str(port), "--redis-url", ""]
        with self.log.open("wb") as log:
            # A session of its own: Ctrl-C is for the demo, which then ends the service in good order. The tether: so
            # that kill -9 of the demo leaves nothing behind.
            self._process = subprocess.Popen(
                [*TETHER, str(os.getpid()), *self._program, *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def client(self) -> Client:
        """A client of this service."""
        return Client(self.url, self._key)

    def stop(self) -> None:
        """End the service: SIGTERM, and SIGKILL if it is still there after 30 s."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def tail(self) -> list[str]:
        """The last lines of the service's log that tell more than which requests came in."""
        try:
            lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return []
        return [line for line in lines if '"api.access"' not in line][-TAIL_LINES:]

    def _refuse_second(self) -> None:
        noted = running_service(self.home)
        if noted is not None:
            with Client(noted.url, self._key) as client:
                if client.alive():
                    raise Unavailable(
                        f"a service already runs on the demo's folder (process {noted.pid}, {noted.url});"
                        f" wait for that demo, or end it with `kill {noted.pid}`",
                        code="demo_running",
                    )

    def _wait(self) -> None:
        """Until the service is ready, or at least alive when the time is over."""
        deadline = time.monotonic() + START_SECONDS
        with self.client() as client:
            while time.monotonic() < deadline:
                if self._process is not None and self._process.poll() is not None:
                    raise Unavailable(f"the service ended at its start (status {self._process.returncode})")
                if client.alive() and client.ready():
                    return
                time.sleep(0.05)
            if not client.alive():
                raise Unavailable(f"the service did not answer within {START_SECONDS:.0f} s")


def _free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])
