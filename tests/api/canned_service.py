"""A service that answers what it was told to: for tests of everything that talks to one."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Call:
    """One request that came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass
class CannedService:
    """``answers``: (method, path without query) -> the answers in turn, each (status, body); the last one stays."""

    url: str = ""
    answers: dict[tuple[str, str], list[tuple[int, Any]]] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)

    def says(self, method: str, path: str, *bodies: Any, status: int = 200) -> None:
        """Answer ``bodies`` in turn to this request."""
        self.answers[method, path] = [(status, body) for body in bodies]

    def refuses(self, method: str, path: str, status: int, code: str, message: str, **members: Any) -> None:
        """Answer an error in the service's form."""
        error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
        self.says(
            method, path, {"error": error, "status": status, "code": code, "detail": message} | members, status=status
        )

    def asked(self, method: str, path: str) -> list[Call]:
        """The requests of this method and path (with or without a query)."""
        return [call for call in self.calls if call.method == method and call.path.partition("?")[0] == path]

    def answer(self, call: Call) -> tuple[int, Any]:
        """What this request gets."""
        self.calls.append(call)
        left = self.answers.get((call.method, call.path.partition("?")[0]))
        if left is None:
            return 404, {"error": {"message": f"nothing canned for {call.method} {call.path}", "code": "unknown_url"}}
        return left.pop(0) if len(left) > 1 else left[0]


@contextmanager
def canned_service() -> Iterator[CannedService]:
    """A running service with no answers yet."""
    service = CannedService()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _handle(self) -> None:
            body = (
                self.rfile.read(int(self.headers.get("content-length") or 0)) if not self._chunked() else self._chunks()
            )
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, answer = service.answer(Call(self.command, self.path, headers, body))
            text = json.dumps(answer).encode() if not isinstance(answer, bytes) else answer
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(text)))
            self.send_header("x-request-id", "req-1")
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PUT = do_DELETE = _handle

        def _chunked(self) -> bool:
            return self.headers.get("transfer-encoding", "") == "chunked"

        def _chunks(self) -> bytes:
            parts = []
            while (length := int(self.rfile.readline(), 16)) > 0:
                parts.append(self.rfile.read(length))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)

        def log_message(self, format: str, *args: Any) -> None:
            """Silence."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    service.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


LISTED = {
    "id": "minilm",
    "object": "model",
    "created": 1700000000,
    "owned_by": "adaptzoo",
    "task": "feature-extraction",
    "modality": "text",
    "base": None,
    "versions": [1],
    "aliases": {"live": 1},
    "licence": "Apache-2.0",
    "title": "MiniLM",
    "size": 90000000,
    "status": "ready",
}
OFFERED = LISTED | {"id": "distilbert", "versions": [], "aliases": {}, "status": "available", "task": "fill-mask"}
TICKETS = LISTED | {
    "id": "tickets@1",
    "task": "text-classification",
    "base": "minilm@1",
    "version": 1,
    "precision": "fp32",
    "labels": ["billing", "returns"],
    "limits": {"max_tokens": 256},
    "metrics": {
        "heldout": {
            "rows": 80,
            "accuracy": 0.95,
            "macro_f1": 0.94,
            "per_class": {"billing": {"precision": 0.9, "recall": 1.0, "f1": 0.947, "support": 40}},
            "confusion": [[40, 0], [4, 36]],
        },
        "probe": {"accuracy": 0.9, "macro_f1": 0.89},
        "seconds": {"split": 0.1, "train": 31.5},
    },
    "parity": {"rows": 80, "max_abs_difference": 4.1e-06, "argmax_agreement": 1.0, "tolerance": 1e-4},
    "lineage": {"job": "ftjob-1", "seed": 7},
    "files": [
        {"path": "model.onnx", "size": 90000000, "sha256": "a" * 64},
        {"path": "adapter/adapter_model.safetensors", "size": 300000, "sha256": "b" * 64},
    ],
}
JOB = {
    "id": "ftjob-1",
    "object": "fine_tuning.job",
    "kind": "adapt",
    "model": "minilm",
    "created_at": 1700000000,
    "finished_at": None,
    "fine_tuned_model": None,
    "status": "queued",
    "training_file": "file-1",
    "error": None,
    "progress": {"stage": "", "step": 0, "total": 0, "eta_seconds": None, "metrics": {}},
}
RUNNING = JOB | {
    "status": "running",
    "progress": {"stage": "train", "step": 3, "total": 10, "eta_seconds": 21.0, "metrics": {"loss": 0.5}},
}
SUCCEEDED = JOB | {"status": "succeeded", "fine_tuned_model": "tickets@1", "finished_at": 1700000060}
FAILED = JOB | {"status": "failed", "error": {"code": "out_of_memory", "message": "Not enough memory.", "param": None}}
IMPORTED = JOB | {"kind": "import", "object": "job", "status": "succeeded", "result": {"model": "minilm@1"}}
FILE = {
    "id": "file-1",
    "object": "file",
    "bytes": 140,
    "created_at": 1700000000,
    "filename": "t.csv",
    "purpose": "fine-tune",
    "status": "processed",
    "status_details": None,
}
REPORT = {
    "file": "file-1",
    "format": "csv",
    "encoding": "utf-8",
    "task": "text-classification",
    "columns": {"text": "text", "label": "label"},
    "ignored_columns": [],
    "rows": 400,
    "usable_rows": 399,
    "classes": [{"label": "billing", "count": 200, "share": 0.5}, {"label": "returns", "count": 199, "share": 0.5}],
    "balance": {"ratio": 1.0, "entropy": 1.0},
    "lengths": {
        "characters": {"min": 1, "median": 60, "p95": 120, "max": 300},
        "words": {"min": 1, "median": 12, "p95": 30, "max": 60},
    },
    "duplicates": {"groups": 1, "rows": 2},
    "conflicting_rows": 0,
    "conflicts": [],
    "problems": [
        {
            "level": "warning",
            "code": "empty_text",
            "message": "The text is empty.",
            "fix": "Fill it in or remove the row.",
            "line": 7,
            "row": 6,
            "column": "text",
            "position": None,
        }
    ],
    "problem_counts": {"empty_text": 1},
    "fatal": None,
}
FATAL = {
    "level": "error",
    "code": "one_class",
    "message": "Every row has the same label.",
    "fix": "Add rows of a second class.",
    "line": None,
    "row": None,
    "column": "label",
    "position": None,
}
