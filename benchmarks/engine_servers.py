"""Servers that are measured: ours and others, each started with its own interpreter on a free port and ended again.

The others run in environments of their own below the folder that `--venvs` names; `INSTALL` has what belongs in each.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from benchmarks.engine_load import post
from benchmarks.engine_model import Model
from benchmarks.engine_oracle import Vector
from benchmarks.service import HOME

ROOT = Path(__file__).parents[1]
START_SECONDS = 180.0
INSTALL = {
    "fastapi_ort": "fastapi uvicorn[standard] onnxruntime==1.32.0 tokenizers",
    "litserve": "litserve==0.2.19 onnxruntime==1.32.0 tokenizers",
    "mlserver": "mlserver==1.7.1 uvloop<0.22 onnxruntime==1.32.0 tokenizers",
    "bentoml": "bentoml==1.4.39 onnxruntime==1.32.0 tokenizers",
    "fastapi_transformers": "fastapi uvicorn[standard] torch==2.13.0 transformers==5.23.0",
    # datasets wants pyarrow 21 or later, whose later releases do not start with the numpy that infinity asks for.
    "infinity": "infinity-emb[server,optimum,torch]==0.0.78 optimum==1.24.0 transformers==4.48.3 torch==2.13.0 "
    "pyarrow>=21,<22",
}
Body = Callable[[str, Sequence[str]], dict[str, Any]]
Answers = Callable[[Any], list[str]]


@dataclass(frozen=True)
class Server:
    """How a server is started and asked. ``venv``: its environment, empty for this interpreter's.

    ``command``: arguments of the interpreter, or a program of the environment where it does not begin with ``-``;
    ``folder``: where it is started, which its program is read from. ``body`` makes a request from a model's name and
    texts, ``answers`` reads the vectors in base64 from an answer.
    """

    name: str
    venv: str
    command: tuple[str, ...]
    path: str
    body: Body
    answers: Answers
    environment: Mapping[str, str] = field(default_factory=dict)
    by_hand: bool = False
    folder: Path = ROOT

    def request(self, model: str, texts: Sequence[str], headers: Sequence[str] = ()) -> bytes:
        """The bytes of a request for the vectors of texts."""
        return post(self.path, json.dumps(self.body(model, texts)).encode(), headers)


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


def _ours(model: str, texts: Sequence[str]) -> dict[str, Any]:
    return {"model": model, "input": list(texts), "encoding_format": "base64"}


def _plain(model: str, texts: Sequence[str]) -> dict[str, Any]:
    return {"input": list(texts)}


def _tensor(model: str, texts: Sequence[str]) -> dict[str, Any]:
    return {"inputs": [{"name": "input", "shape": [len(texts)], "datatype": "BYTES", "data": list(texts)}]}


def _openai_answers(answer: Any) -> list[str]:
    return [item["embedding"] for item in answer["data"]]


def _plain_answers(answer: Any) -> list[str]:
    return list(answer["data"])


def _tensor_answers(answer: Any) -> list[str]:
    return list(answer["outputs"][0]["data"])


def ours(*flags: str, name: str = "AdaptZoo", folder: Path = ROOT) -> Server:
    """This project's service on the benchmark's home, from this checkout or another."""
    command = ("-m", "api.cli", "serve", "--port", "{port}", "--home", str(HOME), *flags)
    return Server(name, "", command, "/v1/embeddings", _ours, _openai_answers, folder=folder)


def _script(name: str) -> tuple[str, ...]:
    return ("-m", f"benchmarks.servers.{name}")


_BY_HAND = {"BY_HAND": "1", "RUN_THREADS": "1"}
_BENTO = ("bentoml", "serve", "benchmarks.servers.bentoml_embedder:EmbedderService", "--port", "{port}")
# Pooling has to be told: with optimum it takes the first token's vector unless "mean" is asked for.
_INFINITY = (
    *("infinity_emb", "v2", "--model-id", "{infinity}", "--served-model-name", "minilm", "--engine", "optimum"),
    *("--no-bettertransformer", "--pooling-method", "mean", "--device", "cpu"),
    *("--host", "127.0.0.1", "--port", "{port}"),
)


def _both(name: str, venv: str, command: tuple[str, ...], path: str, talk: tuple[Body, Answers]) -> list[Server]:
    return [
        Server(f"{name}, as it comes", venv, command, path, *talk),
        Server(f"{name}, by hand", venv, command, path, *talk, environment=_BY_HAND, by_hand=True),
    ]


PLAIN, TENSOR, OPENAI = (_plain, _plain_answers), (_tensor, _tensor_answers), (_ours, _openai_answers)
OTHERS = (
    *_both("FastAPI + onnxruntime", "fastapi_ort", _script("fastapi_onnxruntime"), "/embed", PLAIN),
    *_both("litserve", "litserve", _script("litserve_embedder"), "/embed", PLAIN),
    Server(
        *("litserve, no batching, by hand", "litserve", _script("litserve_embedder"), "/embed", *PLAIN),
        environment=_BY_HAND | {"BATCH": "1"},
        by_hand=True,
    ),
    *_both("mlserver", "mlserver", _script("mlserver_embedder"), "/v2/models/embedder/infer", TENSOR),
    *_both("bentoml", "bentoml", _BENTO, "/embed", (_plain, lambda answer: list(answer))),
    *_both("FastAPI + transformers", "fastapi_transformers", _script("fastapi_transformers"), "/embed", PLAIN),
    Server("infinity, as it comes", "infinity", _INFINITY, "/embeddings", *OPENAI),
    Server(
        *("infinity, by hand", "infinity"),
        (*_INFINITY, "--batch-size", "8", "--lengths-via-tokenize", "--no-model-warmup"),
        "/embeddings",
        *OPENAI,
        by_hand=True,
    ),
)


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
        command = [part.format(**names) for part in _program(server, venvs)]
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
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _await(server: Server, port: int, process: subprocess.Popen[bytes], right: tuple[str, Vector], log: Path) -> None:
    """Ask until the right answer comes."""
    text, vector = right
    url = f"http://127.0.0.1:{port}{server.path}"
    until = time.perf_counter() + START_SECONDS
    told = ""
    while time.perf_counter() < until and process.poll() is None:
        with suppress(httpx.TransportError):
            answer = httpx.post(url, json=server.body("minilm", [text]), timeout=30, trust_env=False)
            told = answer.text[:300]
            if answer.status_code == 200:
                (found,) = server.answers(answer.json())
                if float(np.dot(np.frombuffer(base64.b64decode(found), dtype="<f4"), vector)) > 0.999:
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
