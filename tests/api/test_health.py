"""Probes, metrics, the page and the API's description."""

from __future__ import annotations

import httpx
import pytest

from tests.api.fakes import publish
from tests.api.live import Live, running
from zoo.settings import Settings


def test_a_live_process_says_so(client: httpx.Client) -> None:
    assert client.get("/livez").json() == {"status": "ok"}


@pytest.mark.parametrize("path", ["/readyz", "/health"])
def test_ready_once_the_live_models_are_whole(settings: Settings, path: str) -> None:
    with running(settings, None) as own, own.client() as client:
        assert client.get(path).json() == {"status": "ready", "reasons": []}
        publish(own.store, "other", base="minilm@1")
        own.store.set_alias("other", "live", 1)
        (own.store.folder("other", 1) / "model.onnx").write_bytes(b"other")
        answer = client.get(path)
        assert answer.status_code == 503
        assert answer.json() == {"status": "not ready", "reasons": ["other: artifact_corrupt"]}
        assert client.get("/livez").status_code == 200


def test_metrics_tell_memory_around_loads_and_what_was_answered_without_a_run(client: httpx.Client) -> None:
    lines = client.get("/metrics").text.splitlines()
    for line in (
        "zoo_models_memory_budget_bytes 1e+06",
        'zoo_model_change_resident_bytes{event="load",version="short@1",when="before"} 100.0',
        'zoo_model_change_resident_bytes{event="load",version="short@1",when="after"} 160.0',
        'zoo_model_changes_total{event="load",version="short@1"} 1.0',
        'zoo_answers_without_run_total{how="shared"} 3.0',
        'zoo_answers_without_run_total{how="cached"} 2.0',
        "zoo_answer_cache_misses_total 1.0",
        "zoo_answer_cache_bytes 512.0",
        "zoo_answer_cache_on 1.0",
    ):
        assert line in lines


def test_metrics_count_requests_by_route_template(client: httpx.Client) -> None:
    client.post("/v1/models/tickets/predict", json={"inputs": ["a", 7]})
    client.get("/v1/no/such/address/with/users/text")
    answer = client.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert 'route="/v1/models/{model_id:path}/predict",status="200"' in answer.text
    assert 'zoo_predict_items_total{model="tickets",outcome="failed"}' in answer.text
    assert 'route="unmatched",status="404"' in answer.text
    assert "users" not in answer.text
    assert 'zoo_jobs{status="queued"}' in answer.text
    assert "zoo_queue_up 1.0" in answer.text
    assert "zoo_resident_memory_bytes" in answer.text
    assert answer.text.endswith("\n")


def test_two_applications_count_apart(settings: Settings, live: Live) -> None:
    with running(settings, None) as own, own.client() as client:
        assert "/v1/models/{model_id:path}/predict" not in client.get("/metrics").text


def test_the_page_needs_nothing_from_elsewhere(client: httpx.Client) -> None:
    answer = client.get("/")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "http://" not in answer.text.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in answer.text


def test_the_description_names_every_route_once_with_its_body(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    operations = [item for path in document["paths"].values() for item in path.values()]
    ids = [operation["operationId"] for operation in operations]
    assert len(ids) == len(set(ids))
    assert all(operation["summary"] and operation["tags"] for operation in operations)
    create = document["paths"]["/v1/fine_tuning/jobs"]["post"]
    assert create["operationId"] == "create_fine_tuning_job"
    assert (
        create["requestBody"]["content"]["application/json"]["schema"]["$ref"] == "#/components/schemas/FineTuneRequest"
    )
    assert "learning_rate" in document["components"]["schemas"]["FineTuneRequest"]["properties"]


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_pages_that_load_scripts_from_elsewhere_are_off(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 404


def test_every_reference_of_the_description_leads_somewhere(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    text = str(document)
    wanted = {piece.split("'")[0] for piece in text.split("#/components/schemas/")[1:]}
    assert wanted <= set(document["components"]["schemas"])
