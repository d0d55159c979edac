"""Imports from a model hub, asked for over HTTP: the real client, a hub of this process, and what is left behind."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from huggingface_hub import constants
from transformers import AutoModel

from adapters.queue import JobQueue
from adapters.queue.assignment import RUNNERS, Assignment
from adapters.queue.launch import start_call
from adapters.worker import run_job
from api.app import build
from tests.api.conftest import settings_in
from tests.api.live import serving
from tests.tiny import write_checkpoint
from tests.zoo.catalogue.checkpoints import WEIGHTS
from tests.zoo.catalogue.hub_server import COMMIT, Hub, hub_server
from zoo.settings import Settings


@dataclass(frozen=True)
class Door:
    """A service whose jobs the test runs itself, and the hub that they ask."""

    client: httpx.Client
    settings: Settings
    queue: JobQueue
    hub: Hub
    address: str

    def ask(self, name: str, **source: str) -> Assignment:
        """Post an import and take it as a worker does."""
        wish = {"id": name, "task": "feature-extraction", "source": {"kind": "hub", "id": "tiny/bert", **source}}
        answer = self.client.post("/v1/models", json=wish)
        assert answer.status_code == 202, answer.text
        lease = self.queue.records.claim(answer.json()["id"], nonce=name, lease_seconds=60)
        assert lease is not None
        return Assignment.of(lease, url=self.queue.url, settings=self.settings, runners=RUNNERS)

    def job(self, order: Assignment) -> dict[str, Any]:
        found: dict[str, Any] = self.client.get(f"/v1/jobs/{order.job_id}").json()
        return found

    def left(self, name: str) -> list[Path]:
        """What lies in the store of a model, or half done beside it; not what another attempt may go on with."""
        staging = self.settings.home / "staging"
        half = [path for path in staging.glob("*") if not path.name.startswith("kept-")]
        return [*half, *(self.settings.home / "models" / name).rglob("*")]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> Iterator[Door]:
    settings = settings_in(
        tmp_path_factory.mktemp("hub-home"), redis_url=redis_url, threads=1, worker_threads=1, max_jobs_per_caller=1000
    )
    app = build(settings)
    hub = Hub(files={})
    with hub_server(hub) as address, serving(app, settings) as (_, port):
        url = f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=url, trust_env=False, timeout=60) as client:
            yield Door(client, settings, app.state.rest.made().services.queue, hub, address)


@pytest.fixture
def door(shared: Door, monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    """The service with a hub that behaves, until the test says otherwise."""
    monkeypatch.setenv("HF_ENDPOINT", shared.address)  # for processes; what follows is what it comes to in this one
    monkeypatch.setattr(constants, "ENDPOINT", shared.address)
    template = f"{shared.address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    vars(shared.hub).update(vars(Hub(files={})))
    before = signal.getsignal(signal.SIGUSR1)
    yield shared
    signal.signal(signal.SIGUSR1, before)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A repository whose weights are in several files, as transformers writes them."""
    folder = write_checkpoint(tmp_path_factory.mktemp("whole"))
    AutoModel.from_pretrained(folder).save_pretrained(folder, max_shard_size="30KB")
    (folder / "model.safetensors").unlink(missing_ok=True)
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    assert len([path for path in files if path.endswith(".safetensors")]) >= 3
    return {name: path.read_bytes() for name, path in files.items()}


def test_a_repository_in_shards_comes_in_at_its_commit_and_is_served(door: Door, shards: dict[str, bytes]) -> None:
    door.hub.files = shards
    order = door.ask("sharded", revision="main")
    with start_call("adapters.worker.main", order.model_dump(mode="json")) as process:
        assert process.wait() == 0
    job = door.job(order)
    assert (job["status"], job["result"]) == ("succeeded", {"model": "sharded@1"}), job["error"]
    model = door.client.get("/v1/models/sharded").json()
    assert (model["lineage"]["source"], model["lineage"]["revision"]) == ("hub tiny/bert", COMMIT)
    kept = {Path(file["path"]).name for file in model["files"] if file["path"].startswith("checkpoint/")}
    assert {path for path in shards if path.startswith("model")} <= kept
    answer = door.client.post("/v1/models/sharded/predict", json={"inputs": "my parcel"})
    assert answer.status_code == 200, answer.text
    assert len(answer.json()[0]) == 32
    assert all("/resolve/main/" not in path for path in door.hub.asked)
    door.client.delete("/v1/models/sharded").raise_for_status()


CONFIG = json.dumps({"model_type": "bert", "architectures": ["BertModel"]}).encode()
PLAIN = {"config.json": CONFIG, "tokenizer.json": b"{}", "model.safetensors": WEIGHTS}
FIRST, SECOND = (f"model-0000{place}-of-00002.safetensors" for place in (1, 2))
CODE = json.dumps({"model_type": "bert", "auto_map": {"AutoModel": "modeling_x.X"}}).encode()
MODULES = json.dumps([{"idx": 0, "type": "custom_st.Transformer", "path": ""}]).encode()


def index(**places: str) -> bytes:
    return json.dumps({"metadata": {}, "weight_map": places}).encode()


def in_shards(content: bytes, *missing: str) -> dict[str, bytes]:
    whole = {FIRST: WEIGHTS, SECOND: WEIGHTS, "model.safetensors.index.json": content}
    return {"config.json": CONFIG} | {path: data for path, data in whole.items() if path not in missing}


FAULTS: Mapping[str, tuple[dict[str, Any], str, str]] = {
    "gated": ({"status": 403, "error": "GatedRepo", "only_files": True}, "gated_model", "set HF_TOKEN"),
    "missing": ({"status": 401, "error": "RepoNotFound"}, "unknown_source", "check the id"),
    "no-revision": ({"status": 404, "error": "RevisionNotFound"}, "unknown_source", "check the revision"),
    "limited": ({"refused": 1, "limit": {"Retry-After": "1800"}}, "upstream_unavailable", "again in 1800 s"),
    "limited-later": (
        {"refused": 1, "limit": {"RateLimit": '"resolvers";r=0;t=900'}, "only_files": True},
        "upstream_unavailable",
        "again in 900 s",
    ),
    "broken": ({"status": 502}, "upstream_unavailable", "status 502"),
    "wrong-hash": ({"lies": {"model.safetensors": bytes(len(WEIGHTS))}}, "upstream_unavailable", "model.safetensors"),
    "pickles": ({"files": {"config.json": CONFIG, "pytorch_model.bin": b"x"}}, "unsafe_weights", "pytorch_model.bin"),
    "missing-shard": ({"files": in_shards(index(), SECOND)}, "invalid_checkpoint", f"{SECOND} is missing"),
    "missing-index": (
        {"files": in_shards(b"", "model.safetensors.index.json")},
        "invalid_checkpoint",
        "model.safetensors.index.json is missing",
    ),
    "missing-tensor": ({"files": in_shards(index(weight=FIRST, bias=SECOND))}, "invalid_checkpoint", "bias is not in"),
    "index-elsewhere": ({"files": in_shards(index(weight="../../other/model.safetensors"))}, "unsafe_source", "index"),
    "no-index": ({"files": in_shards(b"[1]")}, "invalid_checkpoint", "weight_map"),
    "remote-code": ({"files": PLAIN | {"config.json": CODE, "modeling_x.py": b""}}, "remote_code", "auto_map"),
    "remote-module": ({"files": PLAIN | {"modules.json": MODULES, "custom_st.py": b""}}, "remote_code", "custom_st"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_what_cannot_come_in_is_told_with_the_fix_and_leaves_nothing_behind(door: Door, case: str) -> None:
    behaviour, code, said = FAULTS[case]
    vars(door.hub).update({"files": PLAIN, **behaviour})
    order = door.ask(case)
    assert run_job(order.job_id, order) == 0
    job = door.job(order)
    assert (job["status"], job["error"]["code"]) == ("failed", code), job["error"]
    message = job["error"]["message"]
    assert message.startswith(f"{case} could not be fetched. hub tiny/bert: ") and said in message
    assert "127.0.0.1" not in message and str(door.settings.home) not in message and len(message) < 600
    assert door.left(case) == []
    assert door.client.get(f"/v1/models/{case}").status_code == 404
    listed = {model["id"]: model for model in door.client.get("/v1/models").json()["data"]}
    assert case not in listed


@pytest.mark.parametrize("case", ["remote-code", "remote-module"])
def test_what_asks_for_code_is_refused_before_its_weights_are_copied(door: Door, case: str) -> None:
    vars(door.hub).update(FAULTS[case][0])
    order = door.ask(f"{case}-early")
    run_job(order.job_id, order)
    assert door.job(order)["error"]["code"] == "remote_code"
    assert not any("safetensors" in path or ".py" in path for path in door.hub.asked)


def test_a_failed_import_can_be_asked_for_again(door: Door, shards: dict[str, bytes]) -> None:
    vars(door.hub).update({"files": PLAIN, "refused": 1, "limit": {"Retry-After": "1800"}})
    order = door.ask("again")
    run_job(order.job_id, order)
    assert door.job(order)["status"] == "failed"
    answer = door.client.post(f"/v1/jobs/{order.job_id}/retry")
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
