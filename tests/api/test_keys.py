"""The key: asked for everywhere but at the probes, and never told."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.api.live import running
from zoo.settings import Settings

KEY = "a-long-secret"


@pytest.fixture
def keyed(settings: Settings) -> Iterator[httpx.Client]:
    with running(settings.model_copy(update={"api_key": KEY}), None) as server, server.client() as client:
        yield client


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/health", "/"])
def test_probes_and_the_page_need_no_key(keyed: httpx.Client, path: str) -> None:
    assert keyed.get(path).status_code == 200


@pytest.mark.parametrize("path", ["/v1/models", "/metrics", "/models/tickets/info", "/openapi.json", "/v1/nothing"])
@pytest.mark.parametrize(
    "given", [None, "Bearer wrong", f"Bearer {KEY}x", f"Basic {KEY}", KEY, "Bearer", f"Bearer {KEY[:-1]}"]
)
def test_row_27_without_the_right_key_nothing_is_told(keyed: httpx.Client, path: str, given: str | None) -> None:
    answer = keyed.get(path, headers={"authorization": given} if given else {})
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert KEY not in answer.text


def test_with_the_key_everything_answers(keyed: httpx.Client) -> None:
    headers = {"authorization": f"Bearer {KEY}"}
    assert keyed.get("/v1/models", headers=headers).status_code == 200
    assert keyed.post("/models/tickets", json={"inputs": "a"}, headers=headers).status_code == 200


def test_without_a_configured_key_any_is_taken(client: httpx.Client) -> None:
    assert client.get("/v1/models", headers={"authorization": "Bearer anything"}).status_code == 200
