from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.client import Client, reference, service_url
from api.service_errors import NoService, ServiceError
from tests.api.canned_service import FILE, JOB, LISTED, TICKETS, CannedService, canned_service
from zoo.settings import Settings


@pytest.fixture
def service() -> Iterator[CannedService]:
    with canned_service() as running:
        yield running


@pytest.fixture
def client(service: CannedService) -> Iterator[Client]:
    with Client(service.url) as made:
        yield made


def closed_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


def test_filters_that_are_not_set_are_not_sent(service: CannedService, client: Client) -> None:
    service.says("GET", "/v1/models", {"object": "list", "data": [LISTED]})
    assert client.models(task="fill-mask", modality=None, q=None) == [LISTED]
    assert service.calls[0].path == "/v1/models?task=fill-mask"


def test_the_key_is_sent_as_bearer(service: CannedService) -> None:
    service.says("GET", "/v1/models", {"data": []})
    with Client(service.url, "secret") as client:
        client.models()
    assert service.calls[0].headers["authorization"] == "Bearer secret"


def test_a_name_cannot_leave_its_place_in_the_path(service: CannedService, client: Client) -> None:
    with pytest.raises(ServiceError):
        client.model("../files/x?y")
    assert service.calls[0].path == "/v1/models/..%2Ffiles%2Fx%3Fy"


def test_an_upload_arrives_as_multipart_with_its_name(service: CannedService, client: Client, tmp_path: Path) -> None:
    service.says("POST", "/v1/files", FILE)
    path = tmp_path / "t.csv"
    path.write_text("text,label\na,b\n")
    assert client.upload(path)["id"] == "file-1"
    body = service.calls[0].body
    assert b'filename="t.csv"' in body and b"text,label\na,b\n" in body and b"fine-tune" in body


def test_a_file_whose_name_is_not_utf8_is_uploaded_all_the_same(
    service: CannedService, client: Client, tmp_path: Path
) -> None:
    file = tmp_path / "tr\udcffin.csv"
    file.write_text("text,label\n")
    service.says("POST", "/v1/files", FILE)
    assert client.upload(file) == FILE
    assert b'filename="tr?in.csv"' in service.calls[0].body


def test_every_new_job_has_an_idempotency_key_of_its_own(service: CannedService, client: Client) -> None:
    service.says("POST", "/v1/fine_tuning/jobs", JOB)
    client.create_job({"model": "minilm"})
    client.create_job({"model": "minilm"})
    keys = {call.headers["idempotency-key"] for call in service.calls}
    assert len(keys) == 2


def test_an_error_object_becomes_message_code_and_status(service: CannedService, client: Client) -> None:
    service.refuses("GET", "/v1/models/minlm", 404, "model_not_found", "No such model; did you mean minilm?")
    with pytest.raises(ServiceError, match="did you mean minilm") as caught:
        client.model("minlm")
    assert (caught.value.status, caught.value.code) == (404, "model_not_found")


def test_an_error_text_becomes_the_message_too(service: CannedService, client: Client) -> None:
    service.says("GET", "/v1/models/x", {"error": "plain words", "code": "odd"}, status=422)
    with pytest.raises(ServiceError, match="^plain words$") as caught:
        client.model("x")
    assert caught.value.code == "odd"


def test_an_error_without_json_names_the_status(service: CannedService, client: Client) -> None:
    service.says("GET", "/v1/models/x", b"<html>", status=418)
    with pytest.raises(ServiceError, match="the service answered 418"):
        client.model("x")


def test_a_fault_of_the_service_names_the_request(service: CannedService, client: Client) -> None:
    service.refuses("GET", "/v1/models/x", 500, "internal_error", "Something went wrong.")
    with pytest.raises(ServiceError, match=r"Something went wrong\. \(request req-1\)"):
        client.model("x")


def test_a_missing_key_says_how_to_give_it(service: CannedService, client: Client) -> None:
    service.refuses("GET", "/v1/models/x", 401, "unauthorized", "A key is needed.")
    with pytest.raises(ServiceError, match="ZOO_API_KEY"):
        client.model("x")


def test_a_rejected_upload_keeps_its_file_id(service: CannedService, client: Client, tmp_path: Path) -> None:
    service.refuses("POST", "/v1/files", 422, "one_class", "One class only.", file_id="file-9")
    path = tmp_path / "t.csv"
    path.write_text("x")
    with pytest.raises(ServiceError) as caught:
        client.upload(path)
    assert caught.value.file_id == "file-9"


def test_another_program_at_the_address_is_recognised(service: CannedService, client: Client) -> None:
    service.says("GET", "/v1/models/x", b"hello")
    with pytest.raises(ServiceError, match="does not speak the zoo's protocol"):
        client.model("x")


def test_nobody_at_the_address_is_one_clear_line() -> None:
    url = f"http://127.0.0.1:{closed_port()}"
    with Client(url) as client, pytest.raises(NoService) as caught:
        client.models()
    assert caught.value.message == f"no service at {url}; start one with `zoo serve`"


@pytest.mark.parametrize("url", ["nonsense", "ftp://host", "http://[::"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(NoService, match="not an address"), Client(url) as client:
        client.models()


def test_alive_is_false_where_nobody_answers() -> None:
    with Client(f"http://127.0.0.1:{closed_port()}") as client:
        assert not client.alive() and not client.ready()


def test_a_url_that_is_set_wins(tmp_path: Path) -> None:
    note(tmp_path, "http://127.0.0.1:5", os.getpid())
    assert service_url(Settings(home=tmp_path, url="http://there:1")) == "http://there:1"


def test_the_address_that_a_running_service_noted_is_found(tmp_path: Path) -> None:
    note(tmp_path, "http://127.0.0.1:5", os.getpid())
    assert service_url(Settings(home=tmp_path, url="")) == "http://127.0.0.1:5"


def test_the_note_of_a_dead_service_is_ignored(tmp_path: Path) -> None:
    note(tmp_path, "http://127.0.0.1:5", 2**22 + 1)
    assert service_url(Settings(home=tmp_path, url="", host="127.0.0.1", port=9)) == "http://127.0.0.1:9"


@pytest.mark.parametrize(
    ("host", "url"),
    [("0.0.0.0", "http://127.0.0.1:9"), ("::1", "http://[::1]:9"), ("zoo.example", "http://zoo.example:9")],
)
def test_without_a_note_host_and_port_give_the_address(tmp_path: Path, host: str, url: str) -> None:
    assert service_url(Settings(home=tmp_path, url="", host=host, port=9)) == url


def test_the_reference_of_a_model_names_its_version() -> None:
    assert reference(TICKETS) == "tickets@1"
    assert reference(TICKETS | {"id": "tickets@live", "version": 4}) == "tickets@4"
    assert reference({"id": "distilbert", "version": None}) == "distilbert"


def note(home: Path, url: str, pid: int) -> None:
    (home / "service.json").write_text(json.dumps({"url": url, "pid": pid}))
