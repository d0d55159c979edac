"""Servers in processes of their own: started on a free port, asked until they answer rightly, and ended again."""

from __future__ import annotations

import base64
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np

from benchmarks.engine_model import Model
from benchmarks.engine_oracle import Vector
from benchmarks.engine_servers import Server
from benchmarks.service import HOME

START_SECONDS = 120.0


@dataclass(frozen=True)
class Running:
    """A server that has answered rightly: its port, first process, and seconds from its start to that answer."""

    port: int
    pid: int
    first_answer: float

    def megabytes(self) -> tuple[float, float]:
        """Resident memory of its largest process, and of all of them with what they share counted once."""
        largest, whole = 0.0, 0.0
        for pid in family(self.pid):
            with suppress(OSError, ValueError):
                told = dict(
                    line.split(":", 1) for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
                )
                largest = max(largest, int(told["Rss"].split()[0]) / 1000)
                whole += int(told["Pss"].split()[0]) / 1000
        return largest, whole

    def cpu_seconds(self) -> float:
        """Processor time of its processes so far."""
        ticks = 0
        for pid in family(self.pid):
            with suppress(OSError):
                ticks += sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))
        return ticks / os.sysconf("SC_CLK_TCK")


def family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


@contextmanager
def running(server: Server, model: Model, right: tuple[str, Vector], venvs: Path) -> Iterator[Running]:
    """A server while the block runs; ``right``: a text and its vector. Raises ``RuntimeError`` if it does not answer.

    All its processes are ended with the block.
    """
    port = _free_port()
    with tempfile.TemporaryDirectory() as place:
        names = {"port": str(port), "infinity": place}
        if server.venv == "infinity":
            _lay_out(model, Path(place))
        command = [*server.within, *(part.format(**names) for part in _program(server, venvs))]
        log = Path(place) / "log.txt"
        began = time.perf_counter()
        with log.open("w") as output:
            # No session of its own: the kernel shares processors out by sessions, and the oracle runs in this one.
            process = subprocess.Popen(
                command,
                stdout=output,
                stderr=output,
                cwd=server.folder,
                env=_environment(server, model, port),
            )
        try:
            _await(server, port, process, right, log)
            yield Running(port, process.pid, time.perf_counter() - began)
        finally:
            _end(process)


def ask(server: Server, port: int, texts: Sequence[str]) -> list[Vector]:
    """The vectors of texts sent in one request; raises ``httpx.HTTPError``."""
    url = f"http://127.0.0.1:{port}{server.path}"
    # Nothing is encrypted here, and reading all certificates takes as long as a server's own answer.
    with httpx.Client(timeout=60, trust_env=False, verify=False) as client:
        answer = client.post(url, json=server.body("minilm", texts)).raise_for_status()
    return [np.frombuffer(base64.b64decode(found), dtype="<f4") for found in server.answers(answer.json())]


def _program(server: Server, venvs: Path) -> list[str]:
    binaries = venvs / server.venv / "bin" if server.venv else Path(sys.executable).parent
    first, *rest = server.command
    return [str(binaries / "python"), *server.command] if first.startswith("-") else [str(binaries / first), *rest]


def _environment(server: Server, model: Model, port: int) -> dict[str, str]:
    told = {
        "PORT": str(port),
        "PYTHONPATH": str(server.folder),
        "MODEL_FOLDER": str(model.folder),
        "MODEL_LIMIT": str(model.limit),
        "CHECKPOINT": str(checkpoint_of(model)),
        "HF_HUB_OFFLINE": "1",
        "DO_NOT_TRACK": "1",
        "BENTOML_DO_NOT_TRACK": "1",
    }
    kept = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    return {**kept, **told, **server.environment}


def checkpoint_of(model: Model) -> Path:
    """The checkpoint that the graph was made from."""
    return next((HOME / "models" / "minilm").glob("*/checkpoint"))


def _lay_out(model: Model, place: Path) -> None:
    """A checkpoint folder with its graph beside it, as infinity reads it."""
    for file in checkpoint_of(model).glob("*.json"):
        shutil.copy(file, place)
    (place / "onnx").mkdir()
    (place / "onnx" / "model.onnx").symlink_to(model.folder / "model.onnx")


def _free_port() -> int:
    """One that is free with the two behind it, which some servers listen on too.

    Below those that the kernel gives to clients: a connection of a load before may still hold one of them.
    """
    for port in random.sample(range(20_000, 32_000, 3), 100):
        with ExitStack() as stack, suppress(OSError):
            for place in range(3):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port + place))
            return port
    raise RuntimeError("no free port was found")


def _await(server: Server, port: int, process: subprocess.Popen[bytes], right: tuple[str, Vector], log: Path) -> None:
    """Ask until the right answer comes."""
    text, vector = right
    until = time.perf_counter() + START_SECONDS
    told = ""
    while time.perf_counter() < until and process.poll() is None:
        with suppress(httpx.TransportError):
            try:
                (found,) = ask(server, port, [text])
            except httpx.HTTPStatusError as error:
                told = error.response.text[:300]
            else:
                if float(np.dot(found, vector)) > 0.999:
                    return
                raise RuntimeError(f"{server.name} answers wrongly")
        time.sleep(0.02)
    raise RuntimeError(f"{server.name} does not answer: {told}\n{log.read_text()[-1500:]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    members = {pid: _born(pid) for pid in family(process.pid)}
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(10)
    for pid, born in members.items():  # what outlived its parent; a number may have been given out again
        if born is not None and _born(pid) == born:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    process.wait(10)


def _born(pid: int) -> str | None:
    """When a process was started, in ticks since the machine was; None if it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return None
