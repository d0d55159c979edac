"""A model hub of one process: the few routes and headers that huggingface_hub asks for."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.zoo.catalogue.checkpoints import digest

COMMIT = "c0ffee" * 6 + "c0ff"


@dataclass
class Hub:
    """What the hub serves and how it misbehaves.

    ``status`` and ``error`` answer everything, or files alone. ``lies`` replaces the bytes of a file, not its stated
    hash. The connection breaks once after so many bytes of a file in ``cut``. So many requests are ``refused`` as too
    many, with the headers ``limit``.
    """

    files: Mapping[str, bytes]
    status: int = 200
    error: str = ""
    only_files: bool = False
    lies: Mapping[str, bytes] = field(default_factory=dict)
    cut: dict[str, int] = field(default_factory=dict)
    refused: int = 0
    limit: Mapping[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)

    def siblings(self) -> list[dict[str, object]]:
        """Every file as ``?blobs=true`` lists it: large ones by SHA-256, small ones by git object id."""
        listed: list[dict[str, object]] = []
        for path, content in self.files.items():
            sibling: dict[str, object] = {"rfilename": path, "size": len(content)}
            if path.endswith((".safetensors", ".bin")):
                sibling["lfs"] = {"sha256": digest(content), "size": len(content), "pointerSize": 100}
            else:
                sibling["blobId"] = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            listed.append(sibling)
        return listed


class _Server(ThreadingHTTPServer):
    def __init__(self, hub: Hub) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.hub = hub


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def log_message(self, format: str, *args: object) -> None:
        return None

    def do_HEAD(self) -> None:
        self._send(*self._answer(), with_body=False)

    def do_GET(self) -> None:
        self._send(*self._answer(), with_body=True)

    def _answer(self) -> tuple[int, bytes, Mapping[str, str]]:
        hub = self.server.hub
        hub.asked.append(self.path)
        path = self.path.partition("?")[0]
        _, of_file, file = path.partition(f"/resolve/{COMMIT}/")
        if hub.status != 200 and (of_file or not hub.only_files):
            return hub.status, b"{}", {"X-Error-Code": hub.error, "X-Error-Message": hub.error}
        if hub.refused and (of_file or not hub.only_files):
            hub.refused -= 1
            return 429, b"{}", hub.limit
        if path in ("/api/models/tiny/bert", "/api/models/tiny/bert/revision/main"):
            info = {"id": "tiny/bert", "sha": COMMIT, "siblings": hub.siblings()}
            return 200, json.dumps(info).encode(), {"Content-Type": "application/json"}
        if file in hub.files:
            return self._part(file)
        return 404, b"{}", {"X-Error-Code": "EntryNotFound"}

    def _part(self, file: str) -> tuple[int, bytes, Mapping[str, str]]:
        """The file, or what follows the byte that the request begins with."""
        hub = self.server.hub
        content = hub.lies.get(file, hub.files[file])
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{digest(hub.files[file])}"', "Accept-Ranges": "bytes"}
        wanted = self.headers.get("Range")
        if wanted is None:
            return 200, content, headers
        hub.ranges.append(wanted)
        start = int(wanted.removeprefix("bytes=").partition("-")[0])
        headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        return 206, content[start:], headers

    def _send(self, status: int, content: bytes, headers: Mapping[str, str], *, with_body: bool) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            file = self.path.rpartition("/")[2]
            self.wfile.write(content[: self.server.hub.cut.pop(file, None)])


@contextmanager
def hub_server(hub: Hub) -> Iterator[str]:
    """Serve ``hub`` on a free port of loopback; yields its address."""
    with _Server(hub) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
