"""The official Hugging Face client, unchanged, against a real server."""

from __future__ import annotations

import pytest
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError

from tests.api.live import Live


@pytest.fixture(scope="module")
def official(live: Live) -> InferenceClient:
    return InferenceClient(model=f"{live.url}/models/tickets", token="none")


def test_text_classification(official: InferenceClient) -> None:
    answer = official.text_classification("hello there you", top_k=2)
    assert [(item.label, item.score) for item in answer] == [("short", 0.25), ("long", 0.75)]


def test_health_and_info(live: Live) -> None:
    client = InferenceClient(model=f"{live.url}/models/tickets", provider="hf-inference", token="none")
    assert client.health_check() is True
    assert client.get_endpoint_info()["model_id"] == "tickets"


def test_an_error_is_told_in_words(live: Live) -> None:
    with pytest.raises(HfHubHTTPError) as caught:
        InferenceClient(model=f"{live.url}/models/tickts", token="none").text_classification("hello")
    assert "tickets" in str(caught.value.server_message)
    assert caught.value.request_id
