"""The list of models, one model, aliases, imports and deletion."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from adapters.queue import JobQueue
from tests.api.fakes import publish
from tests.api.live import Live, running
from zoo.settings import Settings


@pytest.fixture
def own(settings: Settings, redis_url: str) -> Iterator[Live]:
    """A server of one's own to change models on; its jobs are on the shared Redis."""
    with running(settings, JobQueue(redis_url, settings)) as server:
        yield server


def test_models_that_are_there_and_models_to_be_had_are_listed(client: httpx.Client) -> None:
    models = {model["id"]: model for model in client.get("/v1/models").json()["data"]}
    assert models["tickets"]["status"] == "ready"
    assert models["tickets"]["base"] == "minilm@1"
    assert models["tickets"]["versions"] == [1]
    assert models["tickets"]["aliases"] == {"live": 1}
    assert models["tickets"]["owned_by"] == "local"
    assert models["minilm"]["owned_by"] == "adaptzoo"
    assert models["minilm"]["licence"] == "apache-2.0"
    assert models["tickets"]["object"] == "model"
    assert isinstance(models["tickets"]["created"], int)


def test_the_list_is_searched_by_task_and_words(client: httpx.Client) -> None:
    by_task = client.get("/v1/models", params={"task": "text-classification"}).json()["data"]
    assert [model["id"] for model in by_task] == ["tickets"]
    by_words = client.get("/v1/models", params={"q": "mini", "modality": "text"}).json()["data"]
    assert [model["id"] for model in by_words] == ["minilm"]
    assert client.get("/v1/models", params={"q": "a" * 201}).status_code == 422


def test_one_model_says_what_it_was_made_of(client: httpx.Client) -> None:
    model = client.get("/v1/models/tickets").json()
    assert model["id"] == "tickets"
    assert model["version"] == 1
    assert model["labels"] == ["short", "long"]
    assert [file["path"] for file in model["files"]] == ["model.onnx"]
    assert {"limits", "metrics", "parity", "lineage", "precision"} <= set(model)
    assert model["provider"] == "cpu" and model["threads"]["workers"] == 2


def test_a_version_is_retrieved_by_its_reference(client: httpx.Client) -> None:
    assert client.get("/v1/models/tickets@live").json()["version"] == 1
    assert client.get("/v1/models/tickets@2").status_code == 404


def test_a_model_of_the_catalogue_can_be_looked_at_before_it_is_pulled(client: httpx.Client) -> None:
    model = client.get("/v1/models/bert-base").json()
    assert (model["version"], model["size"]) == (None, 90_000_000)


@pytest.mark.parametrize("path", ["..%2f..%2fetc%2fpasswd", "a%00b", "a%2fb", "%2e%2e%2fx"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_an_id_that_is_a_path_is_refused(client: httpx.Client, method: str, path: str) -> None:
    answer = client.request(method, f"/v1/models/{path}")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_id")


def test_an_alias_is_set_and_moves(own: Live) -> None:
    publish(own.store, "tickets", base="minilm@1")
    with own.client() as client:
        answer = client.put("/v1/models/tickets/aliases/live", json={"version": 2})
        assert answer.json() == {"id": "tickets", "aliases": {"live": 2}}
        asked = client.post("/v1/models/tickets/predict", json={"inputs": "a"})
        assert asked.headers["x-model-version"] == "2"
        assert client.put("/v1/models/tickets/aliases/live", json={"version": 3}).status_code == 404
        assert client.put("/v1/models/tickets/aliases/NO", json={"version": 1}).status_code == 422
        assert client.put("/v1/models/tickets/aliases/live", json={}).status_code == 422


@pytest.mark.parametrize("version", [True, "1", 1.0])
def test_an_alias_does_not_move_to_what_is_no_integer(own: Live, version: object) -> None:
    publish(own.store, "tickets", base="minilm@1")
    own.store.set_alias("tickets", "live", 2)
    with own.client() as client:
        answer = client.put("/v1/models/tickets/aliases/live", json={"version": version})
        assert (answer.status_code, answer.json()["error"]["param"]) == (422, "version"), answer.text
        assert client.get("/v1/models/tickets").json()["aliases"] == {"live": 2}


def test_a_version_is_deleted_and_live_falls_back(own: Live) -> None:
    publish(own.store, "tickets", base="minilm@1")
    own.store.set_alias("tickets", "live", 2)
    with own.client() as client:
        deleted = client.delete("/v1/models/tickets@2")
        assert deleted.json() == {"id": "tickets@2", "object": "model", "deleted": True}
        assert client.get("/v1/models/tickets").json()["versions"] == [1]


def test_a_model_is_deleted_with_all_versions(own: Live) -> None:
    with own.client() as client:
        assert client.delete("/v1/models/tickets").status_code == 200
        assert client.get("/v1/models/tickets").status_code == 404
        assert client.delete("/v1/models/tickets").status_code == 404


def test_what_is_only_in_the_catalogue_cannot_be_deleted(client: httpx.Client) -> None:
    answer = client.delete("/v1/models/bert-base")
    assert (answer.status_code, answer.json()["code"]) == (404, "model_not_found")


def test_row_50_a_damaged_model_is_refused_and_the_others_answer(own: Live) -> None:
    (own.store.folder("tickets", 1) / "model.onnx").unlink()
    with own.client() as client:
        answer = client.get("/models/tickets/health")
        assert (answer.status_code, answer.json()["code"]) == (503, "artifact_corrupt")
        assert client.post("/v1/embeddings", json={"model": "minilm", "input": "a"}).status_code == 200
        listed = {model["id"]: model["status"] for model in client.get("/v1/models").json()["data"]}
        assert (listed["tickets"], listed["minilm"]) == ("failed", "ready")


def test_an_import_is_queued_and_shown_in_the_list(own: Live) -> None:
    with own.client() as client:
        answer = client.post("/v1/models", json={"id": "bert-base"})
        assert answer.status_code == 202
        job = answer.json()
        assert (job["object"], job["kind"], job["model"], job["status"]) == ("job", "import", "bert-base", "queued")
        listed = {model["id"]: model for model in client.get("/v1/models").json()["data"]}
        assert (listed["bert-base"]["status"], listed["bert-base"]["job"]) == ("importing", job["id"])
        assert client.post("/v1/models", json={"id": "bert-base"}).json()["id"] == job["id"]
        assert client.get(f"/v1/jobs/{job['id']}").json()["id"] == job["id"]
        assert client.get(f"/v1/fine_tuning/jobs/{job['id']}").status_code == 404
        assert client.post(f"/v1/jobs/{job['id']}/cancel").json()["status"] == "cancelled"


HUB = {"kind": "hub", "id": "someone/model"}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"id": "nothing-known"}, 404, "model_not_found"),
        ({"id": "../x"}, 422, "invalid_id"),
        ({"id": "minilm@2"}, 422, "invalid_id"),
        ({"id": "mine", "source": "http://169.254.169.254/"}, 422, "invalid_request"),
        ({"id": "mine", "source": {"kind": "url", "url": "http://127.0.0.1/"}, "task": "t"}, 422, "invalid_request"),
        ({"id": "mine", "source": HUB}, 422, "invalid_request"),
        ({"id": "minilm", "source": HUB, "task": "feature-extraction"}, 422, "invalid_request"),
        ({"id": "tickets", "source": HUB, "task": "feature-extraction"}, 422, "invalid_request"),
        ({"id": "minilm", "url": "http://x"}, 422, "unknown_field"),
    ],
)
def test_an_import_that_cannot_work_is_refused(
    client: httpx.Client, body: dict[str, object], status: int, code: str
) -> None:
    answer = client.post("/v1/models", json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_source_of_ones_own_becomes_part_of_the_job(own: Live) -> None:
    assert own.queue is not None
    with own.client() as client:
        body = {"id": "mine", "source": HUB, "task": "feature-extraction"}
        job = client.post("/v1/models", json=body).json()
    spec = own.queue.get(job["id"]).spec
    assert spec.source == {"kind": "hub", "id": "someone/model", "revision": None}


ADAPTER = {"id": "mine", "base": "minilm", "source": HUB}


def test_an_adapter_made_elsewhere_becomes_a_job_on_the_version_that_its_base_means(own: Live) -> None:
    assert own.queue is not None
    with own.client() as client:
        answer = client.post("/v1/models", json=ADAPTER | {"labels": ["red", "green"]})
        again = client.post("/v1/models", json=ADAPTER | {"labels": ["red", "green"]})
        other = client.post("/v1/models", json=ADAPTER | {"labels": ["green", "red"]})
    assert (answer.status_code, again.json()["id"]) == (202, answer.json()["id"])
    assert other.json()["id"] != answer.json()["id"]
    spec = own.queue.get(answer.json()["id"]).spec
    assert (spec.model, spec.base, spec.labels, spec.task) == ("mine", "minilm@1", ("red", "green"), None)


def test_an_adapter_may_be_a_further_version_of_an_adapted_model(client: httpx.Client) -> None:
    assert client.post("/v1/models", json=ADAPTER | {"id": "tickets"}).status_code == 202


@pytest.mark.parametrize(
    ("fields", "status", "code", "param"),
    [
        ({"base": "nothing-known"}, 404, "model_not_found", "base"),
        ({"base": "tickets"}, 422, "not_adaptable", "base"),
        ({"base": "bert-base"}, 404, "model_not_found", "base"),
        ({"id": "minilm"}, 422, "invalid_request", "id"),
        ({"id": "bert-base"}, 422, "invalid_request", "id"),
        ({"source": None}, 422, "invalid_request", "source"),
        ({"precision": "int8"}, 422, "invalid_request", "precision"),
        ({"task": "table-question-answering"}, 415, "unsupported_task", "task"),
        ({"labels": ["a", "a"]}, 422, "invalid_request", "labels"),
        ({"labels": ["a", " "]}, 422, "invalid_request", "labels"),
        ({"labels": ["a", "b" * 257]}, 422, "invalid_request", "labels"),
        ({"labels": []}, 422, "invalid_request", "labels"),
        ({"base": None, "task": "text-classification", "labels": ["a"]}, 422, "invalid_request", "labels"),
    ],
)
def test_an_adapter_that_cannot_be_imported_is_refused_with_the_field_at_fault(
    client: httpx.Client, fields: dict[str, object], status: int, code: str, param: str
) -> None:
    answer = client.post("/v1/models", json=ADAPTER | fields)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (status, code, param)


def test_without_a_queue_models_are_listed_and_asked_but_not_imported(settings: Settings) -> None:
    with running(settings, None) as alone, alone.client() as client:
        assert client.get("/v1/models").status_code == 200
        assert client.post("/models/tickets", json={"inputs": "a"}).status_code == 200
        answer = client.post("/v1/models", json={"id": "bert-base"})
        assert (answer.status_code, answer.json()["code"]) == (503, "queue_unavailable")
        assert "retry-after" in answer.headers


def test_with_redis_gone_models_are_listed_and_asked(settings: Settings) -> None:
    queue = JobQueue("redis://127.0.0.1:1/0", settings)
    with running(settings, queue) as alone, alone.client() as client:
        listed = {model["id"]: model["status"] for model in client.get("/v1/models").json()["data"]}
        assert listed == {"bert-base": "available", "minilm": "ready", "tickets": "ready"}
        answer = client.get("/v1/fine_tuning/jobs")
        assert (answer.status_code, answer.json()["code"]) == (503, "queue_unavailable")
        assert client.get("/metrics").status_code == 200


def test_a_model_of_a_task_to_come_is_listed_and_its_import_refused_at_once(client: httpx.Client) -> None:
    answer = client.get("/v1/models").json()["data"]
    assert {model["id"]: model["supported"] for model in answer}["minilm"] is True
    asked = {"id": "mine", "task": "video-classification", "source": {"kind": "hub", "id": "a/b"}}
    refused = client.post("/v1/models", json=asked)
    assert (refused.status_code, refused.json()["code"]) == (415, "unsupported_task")
    assert "text-classification" in refused.json()["detail"]
