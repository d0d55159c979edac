"""A real server on a free loopback port, in a thread of the test."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from starlette.applications import Starlette

from adapters.datasets import FileStore
from adapters.queue import JobQueue
from api.address import listen
from api.app import create_app
from api.draining import DrainingServer, configuration
from api.rest import Rest
from tests.api.fakes import CATALOGUE, CountingLoader, publish
from zoo.catalogue.registry import Registry
from zoo.catalogue.store import Store
from zoo.settings import Settings


@dataclass(frozen=True)
class Live:
    """A running service and the parts that a test looks into."""

    url: str
    port: int
    home: Path
    loader: CountingLoader
    store: Store
    files: FileStore
    queue: JobQueue | None
    server: DrainingServer

    def client(self, **options: object) -> httpx.Client:
        """A client without retries and without a proxy."""
        return httpx.Client(base_url=self.url, trust_env=False, timeout=20, **options)  # type: ignore[arg-type]

    def raw(self, request: bytes, *, seconds: float = 15) -> bytes:
        """What the server answers to these very bytes until it closes or is silent for half a second."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as connection:
            connection.sendall(request)
            answer = b""
            try:
                while piece := connection.recv(65536):
                    answer += piece
                    connection.settimeout(0.5)
            except (TimeoutError, ConnectionResetError):
                pass
            return answer

    def assert_alive(self) -> None:
        """The last step of every hostile test: the server lives and answers a good request."""
        with self.client() as client:
            assert client.get("/livez").status_code == 200
            answer = client.post("/v1/models/tickets/predict", json={"inputs": "where is it"})
            assert answer.status_code == 200, answer.text


@contextmanager
def running(settings: Settings, queue: JobQueue | None) -> Iterator[Live]:
    """Serve ``tickets`` (an adapted classifier) and ``minilm`` (its base) for the length of the block."""
    store = Store(settings.home)
    if not store.names():
        publish(store, "minilm")
        publish(store, "tickets", base="minilm@1", labels=("short", "long"))
        store.set_alias("tickets", "live", 1)
    registry = Registry(store, CATALOGUE)
    loader = CountingLoader(registry, store)
    files = FileStore(settings.home, settings)
    app = create_app(settings, loader, lambda serving: Rest(serving, queue=queue, files=files))
    with serving(app, settings) as (server, port):
        yield Live(f"http://127.0.0.1:{port}", port, settings.home, loader, store, files, queue, server)


@contextmanager
def serving(app: Starlette, settings: Settings) -> Iterator[tuple[DrainingServer, int]]:
    """Serve an application for the length of the block; also its port."""
    listener = listen("127.0.0.1", 0)
    server = DrainingServer(configuration(app, settings), app.state.serving)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    try:
        yield server, listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()
