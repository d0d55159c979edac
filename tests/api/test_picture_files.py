"""Zips of pictures as training data: what they are for is found, and the model has to fit."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator

import httpx
import pytest

from adapters.queue import JobQueue
from tests.api.conftest import settings_in
from tests.api.fakes import publish
from tests.api.live import Live, running
from tests.api.picture_fakes import picture
from tests.api.test_files import upload

JOBS = "/v1/fine_tuning/jobs"


def zipped(files: dict[str, bytes]) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return written.getvalue()


COLOURS = {
    f"{label}/{number}.png": picture(f"#{base + number:06x}", (40, 30))
    for label, base in (("red", 0xF00000), ("blue", 0x0000E0))
    for number in range(12)
}


def send(client: httpx.Client, content: bytes, name: str = "colours.zip") -> httpx.Response:
    return client.post("/v1/files", data={"purpose": "fine-tune"}, files={"file": (name, content)})


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> Iterator[Live]:
    """A server of these tests' own, for they add a model."""
    settings = settings_in(tmp_path_factory.mktemp("home"))
    with running(settings, JobQueue(redis_url, settings)) as server:
        yield server


@pytest.fixture(scope="module")
def client(live: Live) -> Iterator[httpx.Client]:
    with live.client() as own:
        yield own


@pytest.fixture(scope="module")
def pictures(client: httpx.Client) -> str:
    """The id of a good zip."""
    answer = send(client, zipped(COLOURS))
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


@pytest.fixture(scope="module")
def eyes(live: Live) -> str:
    """A base model that looks at pictures."""
    return publish(live.store, "eyes", picture_task="image-classification").name


def test_a_zip_is_checked_and_its_task_is_found(client: httpx.Client, pictures: str) -> None:
    report = client.get(f"/v1/files/{pictures}/report").json()
    assert (report["task"], report["usable_rows"]) == ("image-classification", 24)
    assert {one["label"]: one["count"] for one in report["classes"]} == {"red": 12, "blue": 12}


def test_a_job_on_pictures_needs_no_task(client: httpx.Client, pictures: str, eyes: str) -> None:
    answer = client.post(JOBS, json={"model": eyes, "training_file": pictures})
    assert answer.status_code == 202, answer.text
    assert (answer.json()["task"], answer.json()["model"]) == ("image-classification", "eyes@1")


def test_pictures_for_a_model_that_reads_text_are_refused_with_models_that_fit(
    client: httpx.Client, pictures: str, eyes: str
) -> None:
    answer = client.post(JOBS, json={"model": "minilm", "training_file": pictures})
    assert (answer.status_code, answer.json()["code"]) == (422, "wrong_modality")
    assert answer.json()["suggestions"] == ["eyes"]
    message = answer.json()["error"]["message"]
    assert "minilm reads text, but this data is pictures, for image-classification." in message
    assert "Start from one that does, such as eyes." in message
    assert "To adapt minilm, upload a table of texts and labels" in message


def test_texts_for_a_model_that_looks_at_pictures_are_refused_with_models_that_fit(
    client: httpx.Client, eyes: str
) -> None:
    table = upload(client).json()["id"]
    answer = client.post(JOBS, json={"model": eyes, "training_file": table})
    assert (answer.status_code, answer.json()["code"]) == (422, "wrong_modality")
    assert answer.json()["suggestions"] == ["minilm", "bert-base"]
    assert "upload a zip of pictures" in answer.json()["error"]["message"]


def test_a_validation_file_has_to_be_for_the_same_task(client: httpx.Client, pictures: str, eyes: str) -> None:
    table = upload(client).json()["id"]
    answer = client.post(JOBS, json={"model": eyes, "training_file": pictures, "validation_file": table})
    assert answer.status_code == 422
    assert answer.json()["error"]["param"] == "validation_file"


def test_the_csv_of_before_still_needs_no_task(client: httpx.Client) -> None:
    table = upload(client).json()["id"]
    assert client.post(JOBS, json={"model": "minilm", "training_file": table}).json()["task"] == "text-classification"
