"""Uploads: good ones, those with faults in the data, and those with faults in the form."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field

import httpx
import pytest

from adapters.jobs import JobKind
from tests.adapters.datasets.zips import classes, pack
from tests.api.live import Live, running
from zoo.settings import Settings

ROWS = [
    f"{word} number {index},{label}"
    for index in range(6)
    for word, label in (("parcel", "delivery"), ("money", "refund"))
]
CSV = ("text,label\n" + "\n".join(ROWS) + "\n").encode()


def upload(
    client: httpx.Client, content: bytes = CSV, *, name: str = "train.csv", purpose: str = "fine-tune"
) -> httpx.Response:
    return client.post("/v1/files", data={"purpose": purpose}, files={"file": (name, content)})


def test_a_good_file_is_stored_checked_and_given_back(client: httpx.Client) -> None:
    answer = upload(client)
    assert answer.status_code == 200, answer.text
    stored = answer.json()
    assert stored["status"] == "processed"
    assert stored["bytes"] == len(CSV)
    assert (stored["object"], stored["filename"], stored["purpose"]) == ("file", "train.csv", "fine-tune")
    assert client.get(f"/v1/files/{stored['id']}").json() == stored
    content = client.get(f"/v1/files/{stored['id']}/content", headers={"accept": "application/binary"})
    assert content.content == CSV
    assert content.headers["content-type"] == "application/octet-stream"
    report = client.get(f"/v1/files/{stored['id']}/report").json()
    assert report["rows"] == 12
    assert {item["label"]: item["count"] for item in report["classes"]} == {"delivery": 6, "refund": 6}


def test_the_purpose_may_come_after_the_file(client: httpx.Client) -> None:
    body = form(part("file", CSV, filename="a.csv"), part("purpose", b"fine-tune"))
    assert client.post("/v1/files", content=body, headers=FORM).status_code == 200


@pytest.mark.parametrize("rows", [1, 100])
def test_row_63_a_disk_that_is_full_while_a_file_comes_in_is_said_so(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    with running(settings, None) as own, own.client() as client:
        with monkeypatch.context() as patched:
            patched.setattr(tempfile, "TemporaryFile", lambda **_: open("/dev/full", "w+b"))
            answer = upload(client, CSV * rows)
        assert (answer.status_code, answer.json()["code"]) == (503, "storage_full"), answer.text
        assert client.get("/v1/files").json()["data"] == []
        own.assert_alive()


def test_files_are_listed_in_pages(settings: Settings) -> None:
    with running(settings, None) as own, own.client() as client:
        ids = [upload(client).json()["id"] for _ in range(3)]
        first = client.get("/v1/files", params={"limit": 2}).json()
        assert [item["id"] for item in first["data"]] == [ids[2], ids[1]]
        assert (first["has_more"], first["last_id"]) == (True, ids[1])
        second = client.get("/v1/files", params={"limit": 2, "after": ids[1]}).json()
        assert [item["id"] for item in second["data"]] == [ids[0]]
        assert second["has_more"] is False
        oldest = client.get("/v1/files", params={"order": "asc", "purpose": "fine-tune"}).json()
        assert [item["id"] for item in oldest["data"]] == ids
        assert client.get("/v1/files", params={"after": "file-0"}).status_code == 400


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 10_001}, {"order": "up"}, {"limit": "many"}])
def test_a_query_out_of_range_is_refused(client: httpx.Client, query: dict[str, str | int]) -> None:
    answer = client.get("/v1/files", params=query)
    assert (answer.status_code, answer.json()["error"]["param"]) == (422, next(iter(query)))


def test_a_file_is_deleted(client: httpx.Client) -> None:
    file_id = upload(client).json()["id"]
    assert client.delete(f"/v1/files/{file_id}").json() == {"id": file_id, "object": "file", "deleted": True}
    assert client.get(f"/v1/files/{file_id}").status_code == 404
    assert client.delete(f"/v1/files/{file_id}").status_code == 404


def test_a_file_may_expire(client: httpx.Client) -> None:
    data = {"purpose": "fine-tune", "expires_after[anchor]": "created_at", "expires_after[seconds]": "3600"}
    stored = client.post("/v1/files", data=data, files={"file": ("a.csv", CSV)}).json()
    assert stored["expires_at"] == stored["created_at"] + 3600


def test_row_44_a_file_that_cannot_be_trained_on_is_refused_but_its_report_stays(client: httpx.Client) -> None:
    answer = upload(client, b"text,label\nonly,one\nclass,one\n")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_dataset")
    body = answer.json()
    assert body["report"] == f"/v1/files/{body['file_id']}/report"
    assert client.get(f"/v1/files/{body['file_id']}").json()["status"] == "error"
    assert client.get(body["report"]).json()["fatal"]["code"]


def test_a_zip_of_pictures_has_a_report_and_a_contact_sheet(client: httpx.Client) -> None:
    stored = upload(client, pack(classes()), name="animals.zip").json()
    assert stored["status"] == "processed"
    report = client.get(f"/v1/files/{stored['id']}/report").json()
    assert (report["task"], report["labels"]) == ("image-classification", ["cat", "dog"])
    sheet = client.get(f"/v1/files/{stored['id']}/contact-sheet")
    assert (sheet.status_code, sheet.headers["content-type"]) == (200, "image/jpeg")
    assert sheet.content.startswith(b"\xff\xd8\xff")


def test_a_table_has_no_contact_sheet(client: httpx.Client) -> None:
    answer = client.get(f"/v1/files/{upload(client).json()['id']}/contact-sheet")
    assert (answer.status_code, answer.json()["code"]) == (404, "contact_sheet_not_found")


def test_a_zip_that_cannot_be_trained_on_is_refused_with_the_picture_at_fault(client: httpx.Client) -> None:
    answer = upload(client, pack({"cat/1.png": b"", "dog/1.png": b"no picture"}))
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_dataset")
    assert "cat/1.png" in answer.json()["detail"]


def test_a_parquet_file_waits_for_a_worker(live: Live, client: httpx.Client) -> None:
    stored = upload(client, b"PAR1" + b"\0" * 100 + b"PAR1", name="train.parquet").json()
    assert stored["status"] == "uploaded"
    assert live.queue is not None
    newest = live.queue.list(kind=JobKind.INSPECT, limit=1).items[0]
    assert newest.spec.training_file == stored["id"]


def test_without_a_queue_a_parquet_file_is_not_kept(settings: Settings) -> None:
    with running(settings, None) as own, own.client() as client:
        answer = upload(client, b"PAR1" + b"\0" * 100 + b"PAR1")
        assert (answer.status_code, answer.json()["code"]) == (503, "queue_unavailable")
        assert client.get("/v1/files").json()["data"] == []


@pytest.mark.parametrize("name", ["../../a", "a\\..\\b", "x" * 10_000, 'quote".csv', "naïve-名前.csv"])
def test_row_43_a_file_name_is_only_a_label(live: Live, client: httpx.Client, name: str) -> None:
    stored = upload(client, name=name)
    assert stored.status_code == 200
    assert "/" not in stored.json()["filename"]
    assert len(stored.json()["filename"]) <= 255
    assert (live.home / "files" / stored.json()["id"] / "data").read_bytes() == CSV
    live.assert_alive()


BOUNDARY = "xxBOUNDARYxx"
FORM = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
NAMED = b'Content-Disposition: form-data; name="%s"'


def part(name: str, content: bytes, *, filename: str | None = None, extra: bytes = b"") -> bytes:
    head = NAMED % name.encode() + (f'; filename="{filename}"'.encode() if filename is not None else b"")
    return b"--%s\r\n%s%s\r\n\r\n%s\r\n" % (BOUNDARY.encode(), head, extra, content)


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--%s--\r\n" % BOUNDARY.encode()


PURPOSE = part("purpose", b"fine-tune")
DATA = part("file", CSV, filename="a.csv")


@dataclass(frozen=True)
class Row:
    """A form that is wrong, and its answer."""

    id: str
    status: int
    code: str
    body: bytes
    headers: dict[str, str] = field(default_factory=lambda: FORM)


def with_boundary(boundary: str) -> dict[str, str]:
    return {"content-type": f"multipart/form-data; boundary={boundary}"}


BAD_FORMS = [
    Row("row-42-5000-parts", 400, "bad_multipart", form(*[part(f"p{number}", b"1") for number in range(5_000)])),
    Row(
        "row-42-part-header-of-1-mb", 400, "bad_multipart", form(part("file", b"", extra=b"\r\nX: " + b"a" * (1 << 20)))
    ),
    Row("row-42-many-part-headers", 400, "bad_multipart", form(part("file", b"", extra=b"\r\nX: 1" * 50_000))),
    Row("row-42-no-boundary", 400, "bad_multipart", form(PURPOSE, DATA), {"content-type": "multipart/form-data"}),
    Row("row-42-empty-boundary", 400, "bad_multipart", form(PURPOSE, DATA), with_boundary('""')),
    Row("row-42-other-boundary", 400, "bad_multipart", form(PURPOSE, DATA), with_boundary("other")),
    Row("row-42-boundary-of-8-kb", 400, "bad_multipart", form(PURPOSE, DATA), with_boundary("b" * 8_000)),
    Row("row-42-preamble-of-1-mb", 400, "bad_multipart", b"x" * (1 << 20) + b"\r\n" + form(PURPOSE, DATA)),
    Row("row-42-cut-off", 400, "bad_multipart", form(PURPOSE, DATA)[:-40]),
    Row("row-42-empty", 400, "bad_multipart", b""),
    Row("row-42-two-files", 400, "bad_multipart", form(PURPOSE, DATA, DATA)),
    Row("row-42-part-without-name", 400, "bad_multipart", form(b"--%s\r\nX: 1\r\n\r\n1\r\n" % BOUNDARY.encode())),
    Row("long-field", 400, "bad_multipart", form(part("purpose", b"a" * 5_000), DATA)),
    Row("nul-in-field", 422, "invalid_text", form(part("purpose", b"a\0b"), DATA)),
    Row("no-purpose", 422, "invalid_request", form(DATA)),
    Row("no-file", 422, "invalid_request", form(PURPOSE)),
    Row("unknown-purpose", 422, "invalid_purpose", form(part("purpose", b"fun"), DATA)),
    Row("unknown-field", 422, "unknown_field", form(PURPOSE, part("owner", b"me"), DATA)),
    Row("no-zip", 422, "invalid_archive", form(PURPOSE, part("file", b"PK\x03\x04" + b"\0" * 99, filename="a.csv"))),
    Row("row-14-too-large", 413, "body_too_large", form(PURPOSE, part("file", b"x" * (2 << 20) + b"x", filename="a"))),
    Row("row-14-far-too-large", 413, "body_too_large", form(PURPOSE, part("file", b"x" * (5 << 20), filename="a"))),
]


@pytest.mark.parametrize("row", BAD_FORMS, ids=lambda row: row.id)
def test_a_wrong_form_gets_its_status_and_code(live: Live, client: httpx.Client, row: Row) -> None:
    before = client.get("/v1/files").json()["data"]
    answer = client.post("/v1/files", content=row.body, headers=row.headers)
    assert (answer.status_code, answer.json()["code"]) == (row.status, row.code), answer.text
    assert len(answer.content) <= 2048
    assert client.get("/v1/files").json()["data"] == before
    assert list((live.home / "staging").iterdir()) == []
    live.assert_alive()


@pytest.mark.parametrize("file_id", ["file-none", "..%2f..%2fetc", "a%00b", "file-" + "a" * 300])
@pytest.mark.parametrize("rest", ["", "/content", "/report", "/contact-sheet"])
def test_an_unknown_file_is_not_found(client: httpx.Client, file_id: str, rest: str) -> None:
    assert client.get(f"/v1/files/{file_id}{rest}").status_code == 404
