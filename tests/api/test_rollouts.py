"""Rollouts over HTTP, on a real service with models that say which version they are."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from api.app import build
from api.draining import DrainingServer
from tests.api.conftest import settings_in
from tests.api.live import serving
from tests.tiny_signatures import publish_signature
from zoo.catalogue.store import Store

ADDRESS = "/v1/models/mood/aliases/live/rollout"


@dataclass(frozen=True)
class Service:
    client: httpx.Client
    home: Path
    app: Starlette
    server: DrainingServer

    def ask(self, reference: str = "mood", **headers: str) -> httpx.Response:
        return self.client.post(f"/v1/models/{reference}/predict", json={"inputs": "late"}, headers=headers)

    def versions(self, count: int) -> list[str]:
        """The versions that answer so many requests."""
        answers = [self.ask() for _ in range(count)]
        assert {answer.status_code for answer in answers} == {200}
        return [answer.headers["x-model-version"] for answer in answers]

    def settle(self) -> None:
        """Wait until everything is mirrored, and every roll-back written."""
        settled = self.app.state.serving.rollouts.settled()
        asyncio.run_coroutine_threadsafe(settled, self.server._loop).result(30)

    def metric(self, line: str) -> float:
        """The value of one line of the metrics; 0 if it is not there."""
        found = [one for one in self.client.get("/metrics").text.splitlines() if one.startswith(line + " ")]
        return float(found[0].rpartition(" ")[2]) if found else 0.0


@contextmanager
def service_on(home: Path) -> Iterator[Service]:
    settings = settings_in(home, redis_url="", threads=1)
    app = build(settings)
    with serving(app, settings) as (server, port):
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=20) as client:
            yield Service(client, home, app, server)


def publish_all(home: Path) -> None:
    """``mood`` in versions 1 (live), 2 (the same), 3 (another answer), 4 (cannot be loaded), 5 (another label)."""
    store = Store(home)
    publish_signature(store, "mood", ("good", "bad"))
    publish_signature(store, "mood", ("good", "bad"))
    publish_signature(store, "mood", ("good", "bad"), logits=(0, 5))
    publish_signature(store, "mood", ("good", "bad"), whole=False)
    publish_signature(store, "mood", ("good", "awful"))
    store.set_alias("mood", "live", 1)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A service of the test's own."""
    publish_all(tmp_path)
    with service_on(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service for tests that change nothing."""
    home = tmp_path_factory.mktemp("rollouts")
    publish_all(home)
    with service_on(home) as made:
        yield made


def test_a_rollout_is_set_followed_and_read(service: Service) -> None:
    begun = service.client.put(ADDRESS, json={"canary": 2, "weight": 50})
    assert begun.status_code == 200
    assert service.versions(20).count("2") == 10
    found = service.client.get(ADDRESS).json()
    assert (found["object"], found["model"], found["alias"], found["status"]) == ("rollout", "mood", "live", "running")
    assert (found["version"], found["canary"], found["weight"], found["shadow"]) == (1, 2, 50, None)
    stable, canary = found["sides"]["stable"], found["sides"]["canary"]
    assert set(found["sides"]) == {"stable", "canary"}
    assert (stable["version"], stable["requests"], stable["errors"], stable["error_rate"]) == (1, 10, 0, 0.0)
    assert (canary["version"], canary["requests"], canary["errors"], canary["error_rate"]) == (2, 10, 0, 0.0)
    assert 0 < canary["latency_ms_median"] <= canary["latency_ms_p95"]
    assert (found["verdict"], found["last"], found["warnings"]) == (None, None, [])
    assert found["rule"] == {
        "automatic": True,
        "min_requests": 100,
        "max_error_points": 2.0,
        "max_latency_ratio": 2.0,
        "min_agreement": 0.8,
    }


def test_a_key_chooses_once_and_for_all(service: Service) -> None:
    service.client.put(ADDRESS, json={"canary": 2, "weight": 50})
    keys = [f"user-{number}" for number in range(30)]
    first, second = (
        [service.ask(**{"x-rollout-key": key}).headers["x-model-version"] for key in keys] for _ in range(2)
    )
    assert first == second
    assert set(first) == {"1", "2"}


def test_promotion_makes_the_canary_the_version_of_the_alias(service: Service) -> None:
    service.client.put(ADDRESS, json={"canary": 2, "weight": 1})
    service.versions(2)
    ended = service.client.post(ADDRESS + "/promote").json()
    assert (ended["status"], ended["version"]) == ("promoted", 2)
    assert ended["sides"]["stable"]["requests"] == 2
    assert service.versions(3) == ["2", "2", "2"]
    assert service.client.get("/v1/models/mood").json()["aliases"] == {"live": 2}
    again = service.client.post(ADDRESS + "/promote")
    assert (again.status_code, again.json()["code"]) == (404, "no_rollout")


def test_a_rollout_is_rolled_back_by_hand(service: Service) -> None:
    service.client.put(ADDRESS, json={"canary": 2, "weight": 99})
    ended = service.client.delete(ADDRESS).json()
    assert (ended["status"], ended["version"]) == ("rolled_back", 1)
    assert (ended["last"]["by"], ended["last"]["reason"]) == ("request", "Rolled back on request.")
    assert service.versions(3) == ["1", "1", "1"]
    assert service.client.delete(ADDRESS).status_code == 404


def test_a_canary_that_cannot_be_loaded_fails_no_request_and_is_rolled_back_with_its_reason(service: Service) -> None:
    service.client.put(ADDRESS, json={"canary": 4, "weight": 50, "rule": {"min_requests": 20}})
    assert service.versions(20) == ["1"] * 20
    service.settle()
    found = service.client.get(ADDRESS).json()
    assert (found["status"], found["version"]) == ("rolled_back", 1)
    assert found["last"]["by"] == "rule"
    assert found["last"]["reason"] == (
        "Version 4, the canary, failed 1 of 1 requests: more than 2.0 % (the stable version's rate and 2 points) of at"
        " least 20."
    )
    assert found["last"]["at"] > 1_700_000_000
    assert found["sides"]["canary"] | {"requests": 1, "errors": 1, "error_rate": 1.0} == found["sides"]["canary"]
    assert service.metric('zoo_rollout_roll_backs_total{model="mood"}') == 1


def test_the_shadow_is_compared_and_never_answers(service: Service) -> None:
    service.client.put(ADDRESS, json={"shadow": 3, "rule": {"automatic": False}})
    for _ in range(4):
        assert service.ask().headers["x-model-version"] == "1"
        service.settle()
    shadow = service.client.get(ADDRESS).json()["sides"]["shadow"]
    assert (shadow["version"], shadow["requests"], shadow["compared"], shadow["agreement"]) == (3, 4, 4, 0.0)


def test_both_sides_are_in_the_metrics(service: Service) -> None:
    service.client.put(ADDRESS, json={"canary": 2, "weight": 50, "shadow": 3, "rule": {"automatic": False}})
    for _ in range(10):
        service.ask()
        service.settle()
    for side in ("stable", "canary", "shadow"):
        assert service.metric(f'zoo_rollout_requests_total{{model="mood",side="{side}"}}') == 5
        assert service.metric(f'zoo_rollout_seconds_count{{model="mood",side="{side}"}}') == 5
        assert service.metric(f'zoo_rollout_errors_total{{model="mood",side="{side}"}}') == 0
    assert service.metric('zoo_rollout_compared_total{model="mood"}') == 5
    assert service.metric('zoo_rollout_agreed_total{model="mood"}') == 0


def test_an_error_of_the_caller_counts_for_no_side(service: Service) -> None:
    service.client.put(ADDRESS, json={"canary": 2, "weight": 50})
    for _ in range(4):
        answer = service.client.post("/v1/models/mood/predict", json={"inputs": 7})
        assert answer.status_code == 422
    sides = service.client.get(ADDRESS).json()["sides"]
    assert [sides[side]["requests"] for side in ("stable", "canary")] == [0, 0]


def test_other_labels_are_warned_of(service: Service) -> None:
    begun = service.client.put(ADDRESS, json={"canary": 5, "weight": 10}).json()
    assert begun["warnings"] == ["mood@5 has other labels than mood@1: it lacks 1 and adds 1."]


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({}, 422, "canary"),
        ({"canary": 2}, 422, "weight"),
        ({"weight": 10}, 422, "canary"),
        ({"shadow": 2, "weight": 10}, 422, "weight"),
        ({"canary": 2, "weight": 0}, 422, "weight"),
        ({"canary": 2, "weight": 100}, 422, "weight"),
        ({"canary": 2, "weight": 0.5}, 422, "weight"),
        ({"canary": 2, "weight": True}, 422, "weight"),
        ({"canary": 2, "weight": "10"}, 422, "weight"),
        ({"canary": True, "weight": 10}, 422, "canary"),
        ({"shadow": "2"}, 422, "shadow"),
        ({"canary": 1, "weight": 10}, 422, "canary"),
        ({"canary": 9, "weight": 10}, 404, "canary"),
        ({"shadow": 9}, 404, "shadow"),
        ({"canary": 2, "weight": 10, "rule": {"min_requests": 0}}, 422, "rule.min_requests"),
        ({"canary": 2, "weight": 10, "rule": {"min_requests": "100"}}, 422, "rule.min_requests"),
        ({"canary": 2, "weight": 10, "rule": {"automatic": "no"}}, 422, "rule.automatic"),
        ({"canary": 2, "weight": 10, "rule": {"patience": 3}}, 422, "rule.patience"),
        ({"canary": 2, "weight": 10, "mirror": 3}, 422, "mirror"),
    ],
)
def test_a_rollout_that_cannot_be_is_refused_by_field(
    shared: Service, body: dict[str, object], status: int, param: str
) -> None:
    refused = shared.client.put(ADDRESS, json=body)
    assert (refused.status_code, refused.json()["error"]["param"]) == (status, param), refused.text
    assert shared.client.get(ADDRESS).json()["code"] == "no_rollout"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/models/mood/aliases/next/rollout", 404),
        ("/v1/models/nobody/aliases/live/rollout", 404),
        ("/v1/models/mood/aliases/7/rollout", 422),
        ("/v1/models/MOOD/aliases/live/rollout", 422),
    ],
)
def test_an_alias_that_is_none_is_said_so(shared: Service, method: str, path: str, status: int) -> None:
    body = {"canary": 2, "weight": 10} if method == "PUT" else None
    assert shared.client.request(method, path, json=body).status_code == status


def test_a_damaged_canary_is_refused_before_it_gets_a_request(service: Service) -> None:
    path = Store(service.home).folder("mood", 2) / "model.onnx"
    path.write_bytes(path.read_bytes()[:-1] + b"\x00")
    refused = service.client.put(ADDRESS, json={"canary": 2, "weight": 10})
    assert (refused.status_code, refused.json()["code"]) == (503, "artifact_corrupt")


def test_how_a_rollout_ended_is_still_known_after_a_restart(service: Service) -> None:
    service.client.put(ADDRESS, json={"canary": 4, "weight": 99, "rule": {"min_requests": 1}})
    service.versions(1)
    service.settle()
    with service_on(service.home) as other:
        found = other.client.get(ADDRESS).json()
    assert (found["status"], found["last"]["by"]) == ("rolled_back", "rule")
    assert found["sides"]["canary"]["errors"] == 1
