"""Pictures at both addresses: as JSON, as the body itself, as a form; and what is refused in words."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError
from PIL import Image

from tests.api.conftest import settings_in
from tests.api.fakes import publish
from tests.api.live import Live, running
from tests.api.picture_fakes import picture

MODELS = {"eyes": "image-classification", "boxes": "object-detection", "masks": "image-segmentation"}
RED = picture("red")
SEEN_RED = [{"label": "red", "score": 1.0}, {"label": "green", "score": 0.0}, {"label": "blue", "score": 0.0}]


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A service with a model for each picture task, without a queue."""
    with running(settings_in(tmp_path_factory.mktemp("home")), None) as server:
        for name, task in MODELS.items():
            publish(server.store, name, picture_task=task)
        yield server


@pytest.fixture(scope="module")
def visitor(gallery: Live) -> Iterator[httpx.Client]:
    with gallery.client() as client:
        yield client


PATHS = ["/v1/models/eyes/predict", "/models/eyes"]
TYPES = [
    {"content-type": "image/png"},
    {"content-type": "image/x-what-the-browser-says"},
    {"content-type": "application/octet-stream"},
    {"content-type": "application/x-www-form-urlencoded"},
    {},
]


@pytest.mark.parametrize("headers", TYPES, ids=lambda headers: headers.get("content-type", "no type"))
@pytest.mark.parametrize("path", PATHS)
def test_a_picture_is_the_body(visitor: httpx.Client, path: str, headers: dict[str, str]) -> None:
    answer = visitor.post(path, content=RED, headers=headers)
    assert (answer.status_code, answer.json()) == (200, SEEN_RED)
    assert answer.headers["x-model"] == "eyes"


@pytest.mark.parametrize("path", PATHS)
def test_a_picture_is_base64_in_json(visitor: httpx.Client, path: str) -> None:
    body = {"inputs": base64.b64encode(RED).decode(), "parameters": {"top_k": 1}}
    assert visitor.post(path, json=body).json() == SEEN_RED[:1]


def test_a_list_of_pictures_is_answered_in_order(visitor: httpx.Client) -> None:
    pictures = [base64.b64encode(picture(colour)).decode() for colour in ("blue", "red")]
    answer = visitor.post(PATHS[0], json={"inputs": pictures, "parameters": {"top_k": 1}})
    assert [item[0]["label"] for item in answer.json()] == ["blue", "red"]


def test_options_stand_in_the_query_of_a_picture(visitor: httpx.Client) -> None:
    assert visitor.post("/models/eyes?top_k=2", content=RED).json() == SEEN_RED[:2]
    grey = picture("#ff8000")
    assert visitor.post("/models/boxes?threshold=0.6", content=grey).json()[0]["label"] == "red"
    assert visitor.post("/models/boxes?threshold=0.7", content=grey).json() == []


def test_an_unknown_option_in_the_query_is_refused_by_the_task(visitor: httpx.Client) -> None:
    answer = visitor.post("/v1/models/eyes/predict?topk=2", content=RED)
    assert (answer.status_code, answer.json()["error"]["param"]) == (422, "parameters.topk")


def test_an_option_given_twice_is_refused(visitor: httpx.Client) -> None:
    answer = visitor.post("/models/eyes?top_k=2&top_k=3", content=RED)
    assert (answer.status_code, answer.json()["code"]) == (400, "duplicate_key")


def test_a_form_carries_a_picture_and_options(visitor: httpx.Client) -> None:
    answer = visitor.post("/models/eyes", files={"file": ("r.png", RED)}, data={"top_k": "1"})
    assert (answer.status_code, answer.json()) == (200, SEEN_RED[:1])


def test_a_form_without_a_file_says_how_to_send_one(visitor: httpx.Client) -> None:
    answer = visitor.post("/models/eyes", files={"picture": ("r.png", b"small")})
    assert answer.status_code == 422
    assert "curl -F file=@" in answer.json()["error"]


JPEG = picture("red", (200, 200), "JPEG")
REFUSED = [
    ("row-36-too-many-pixels", picture("red", (1001, 1000)), 413, "image_too_large"),
    ("row-37-pdf", b"%PDF-1.7 and so on", 415, "unsupported_image"),
    ("row-38-cut-short", JPEG[: len(JPEG) // 2], 422, "invalid_image"),
    ("body-too-large", b"\xff" * ((1 << 20) + 1), 413, "body_too_large"),
]


@pytest.mark.parametrize(("body", "status", "code"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_a_bad_picture_is_refused_in_the_form_of_each_address(
    gallery: Live, visitor: httpx.Client, body: bytes, status: int, code: str
) -> None:
    ours, theirs = (visitor.post(path, content=body, headers={"content-type": "image/png"}) for path in PATHS)
    assert (ours.status_code, ours.json()["error"]["code"]) == (status, code)
    assert (theirs.status_code, theirs.json()["code"]) == (status, code)
    assert isinstance(theirs.json()["error"], str)
    gallery.assert_alive()


def test_row_40_bad_base64_is_refused(visitor: httpx.Client) -> None:
    answer = visitor.post(PATHS[0], json={"inputs": "no/base64/at all"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_base64")


@pytest.mark.parametrize("kind", ["text/plain", "audio/wav", "application/pdf"])
def test_a_body_of_another_kind_is_refused_and_told_what_to_send(visitor: httpx.Client, kind: str) -> None:
    answer = visitor.post(PATHS[0], content=RED, headers={"content-type": kind})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    assert "image/…" in answer.json()["detail"]


@pytest.mark.parametrize("headers", TYPES, ids=lambda headers: headers.get("content-type", "no type"))
def test_a_picture_for_a_model_that_reads_text_is_refused(visitor: httpx.Client, headers: dict[str, str]) -> None:
    answer = visitor.post("/models/tickets", content=RED, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    assert "tickets reads text" in answer.json()["error"]


def test_a_picture_for_a_model_that_is_not_there_is_answered_with_the_nearest(visitor: httpx.Client) -> None:
    answer = visitor.post("/models/eyse", content=RED)
    assert (answer.status_code, answer.json()["suggestions"]) == (404, ["eyes"])


# ---- the official Hugging Face client


@pytest.fixture(params=["path", "bytes", "saved by PIL"])
def shown(request: pytest.FixtureRequest, tmp_path: Path) -> str | bytes:
    """One red picture, 30 by 20, in each form that the client takes without a network."""
    if request.param == "path":
        (tmp_path / "red.png").write_bytes(RED)
        return str(tmp_path / "red.png")
    if request.param == "bytes":
        return RED
    saved = io.BytesIO()
    Image.new("RGB", (30, 20), "red").save(saved, "JPEG", quality=95)
    return saved.getvalue()


def hub_client(gallery: Live, name: str) -> InferenceClient:
    return InferenceClient(model=f"{gallery.url}/models/{name}", token="none")


def test_the_official_client_classifies(gallery: Live, shown: str | bytes) -> None:
    client = hub_client(gallery, "eyes")
    assert [item.label for item in client.image_classification(shown)] == ["red", "green", "blue"]
    assert [item.label for item in client.image_classification(shown, top_k=1)] == ["red"]


def test_the_official_client_detects(gallery: Live, shown: str | bytes) -> None:
    client = hub_client(gallery, "boxes")
    for found in (client.object_detection(shown), client.object_detection(shown, threshold=0.3)):
        (item,) = found
        assert (item.label, item.box.xmin, item.box.ymin, item.box.xmax, item.box.ymax) == ("red", 1, 2, 30, 20)


def test_the_official_client_segments(gallery: Live, shown: str | bytes) -> None:
    client = hub_client(gallery, "masks")
    for found in (client.image_segmentation(shown), client.image_segmentation(shown, threshold=0.3)):
        (item,) = found
        assert (item.label, item.mask.size, item.mask.getpixel((14, 0))) == ("red", (30, 20), 255)


def test_the_official_client_tells_the_error_in_words(gallery: Live) -> None:
    with pytest.raises(HfHubHTTPError) as caught:
        hub_client(gallery, "eyes").image_classification(b"%PDF-1.7")
    assert caught.value.server_message == "No picture of a known kind."
