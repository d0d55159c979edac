"""Servers that are measured: ours and others, how each is started and asked.

The others run in environments of their own below the folder that `--venvs` names; `INSTALL` has what belongs in each.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.engine_load import post
from benchmarks.service import HOME

ROOT = Path(__file__).parents[1]
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
    texts, ``answers`` reads the vectors in base64 from an answer. ``within``: a command that becomes the one that is
    written behind it.
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
    within: tuple[str, ...] = ()

    def request(self, model: str, texts: Sequence[str], headers: Sequence[str] = ()) -> bytes:
        """The bytes of a request for the vectors of texts."""
        return post(self.path, json.dumps(self.body(model, texts)).encode(), headers)


def _ours(model: str, texts: Sequence[str]) -> dict[str, Any]:
    return {"model": model, "input": list(texts), "encoding_format": "base64"}


def _openai(model: str, texts: Sequence[str]) -> dict[str, Any]:
    return _ours("minilm", texts)


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


PLAIN, TENSOR, OPENAI = (_plain, _plain_answers), (_tensor, _tensor_answers), (_openai, _openai_answers)
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
