"""What the service answers before the half of it that predictions do not need has been imported."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from api.app import WAYS, build, create_app
from api.openapi import describe
from api.rest import Rest
from api.services import Serving
from tests.conftest import TinyZoo
from zoo.engine.loader import Loader
from zoo.errors import Unavailable
from zoo.settings import Settings

ROOT = Path(__file__).parent.parent.parent
PROGRAM = """
import asyncio, json, sys
from api.app import build
from zoo.settings import Settings

LATE = ("fastapi", "adapters", "redis")
app = build(Settings(_env_file=None, home=sys.argv[1], threads=1, redis_url=""))

async def ask(method, path, body=b""):
    sent = []
    async def receive():
        return {"type": "http.request", "body": body}
    async def send(message):
        sent.append(message)
    headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": headers, "state": {}}
    await app(scope, receive, send)
    return sent[0]["status"]

async def all():
    for path in ("/v1/models/mood/predict", "/models/mood"):
        print(await ask("POST", path, json.dumps({"inputs": "good"}).encode()))
    print(await ask("POST", "/v1/embeddings", json.dumps({"model": "mini", "input": "good"}).encode()))
    print(await ask("POST", "/v1/models/none/predict", json.dumps({"inputs": "good"}).encode()))
    print(*(name for name in LATE if name in sys.modules))
    print(await ask("GET", "/v1/models"), *(name for name in LATE if name in sys.modules))

asyncio.run(all())
"""


def test_predictions_are_answered_before_the_rest_is_imported(tiny_zoo: TinyZoo) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, tiny_zoo.home], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines() == ["200", "200", "200", "404", "", "200 fastapi adapters redis"], done.stderr


def test_every_short_way_is_described_as_a_route(tmp_path: Path) -> None:
    rest = build(Settings(home=tmp_path, redis_url="", _env_file=None)).state.rest.made()
    posts = {path for path, item in describe(rest.app)["paths"].items() if "post" in item}
    assert {way.path.replace(":path", "") for way in WAYS} <= posts


def test_who_asks_for_the_rest_waits_until_it_is_made_once(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, redis_url="", _env_file=None)
    whole: Rest = build(settings).state.rest.made()
    made = []

    def rest(_: Serving) -> Rest:
        made.append(threading.current_thread())
        return whole

    with TestClient(create_app(settings, Loader.of(settings), rest), base_url="http://127.0.0.1") as client:
        assert client.get("/livez").json() == {"status": "ok"}
        assert client.get("/v1/models").status_code == 200
    assert len(made) == 1
    assert made[0] is not threading.main_thread()


def test_nothing_is_made_once_the_service_ends(tmp_path: Path) -> None:
    app = build(Settings(home=tmp_path, redis_url="", _env_file=None))
    with TestClient(app, base_url="http://127.0.0.1"):
        pass
    with pytest.raises(Unavailable, match="shutting down"):
        app.state.rest.made()


def test_what_cannot_be_made_is_an_error_of_the_request_and_tried_again(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, redis_url="", _env_file=None)
    whole: Rest = build(settings).state.rest.made()
    tries = []

    def rest(_: Serving) -> Rest:
        tries.append(1)
        if len(tries) == 1:
            raise OSError("disk")
        return whole

    with TestClient(create_app(settings, Loader.of(settings), rest), base_url="http://127.0.0.1") as client:
        first, second = client.get("/livez"), client.get("/livez")
    assert (first.status_code, json.loads(first.text)["code"]) == (500, "internal_error")
    assert second.status_code == 200
