"""Rows 44 to 46 of the table of bad inputs, through HTTP: the answer names the row or line, and the report stays."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from adapters.queue import JobQueue
from tests.api.conftest import settings_in
from tests.api.live import Live, running

HEAD = "text,label\n"
GOOD = "".join(f"text number {at},{'a' if at % 2 else 'b'}\n" for at in range(20))


@pytest.fixture(scope="module")
def roomy(tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> Iterator[Live]:
    """A server that takes files of 32 MiB."""
    settings = settings_in(tmp_path_factory.mktemp("roomy"), max_upload_bytes=32 << 20)
    with running(settings, JobQueue(redis_url, settings)) as server:
        yield server


def send(live: Live, content: bytes, name: str = "train.csv") -> httpx.Response:
    with live.client() as client:
        return client.post("/v1/files", data={"purpose": "fine-tune"}, files={"file": (name, content)})


BAD = {
    "row-44-no-rows": (HEAD, "row"),
    "row-44-one-class": (HEAD + "one text,a\nanother text,a\n", "label"),
    "row-44-all-the-same-text": (HEAD + "same,a\nsame,b\nsame,a\n", ""),
    "row-44-too-many-labels": (
        HEAD + "".join(f"text {at},label {at}\n" for at in range(1500)),
        "Line 1002: more than 1,000",
    ),
    "row-44-nan-labels": (HEAD + "one text,nan\nanother,NaN\nthird,\n", "label"),
    "row-44-nan-literal": ('{"text":"one","label":"a"}\n{"text":"two","label":NaN}\n', "2"),
    "row-44-row-of-10-mb": (HEAD + GOOD + "x" * 10_000_000 + ",a\n", "Line 22: "),
    "row-45-nul": (HEAD + GOOD + "one\0text,a\n", "22"),
    "row-45-unclosed-quote": (HEAD + GOOD + '"never closed,a\nnext,b\n', "22"),
    "row-45-field-of-300-kb": (HEAD + GOOD + "x" * 300_000 + ",a\n", "Line 22: "),
    "row-45-million-columns": ("c," * 1_000_000 + "label\n1,2\n", "Line 1: "),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_data_file_gets_422_with_the_place_and_keeps_its_report(roomy: Live, case: str) -> None:
    content, place = BAD[case]
    answer = send(roomy, content.encode(), "train.jsonl" if content.startswith("{") else "train.csv")
    assert answer.status_code == 422, answer.text
    body = answer.json()
    assert body["code"] == "invalid_dataset"
    assert place in body["detail"]
    assert len(answer.content) <= 2048
    with roomy.client() as client:
        report = client.get(f"/v1/files/{body['file_id']}/report").json()
    assert report["fatal"]["message"] and report["fatal"]["fix"]
    roomy.assert_alive()


@pytest.mark.parametrize(
    "content",
    [
        ("\ufeff" + HEAD + GOOD).encode(),
        (HEAD + GOOD).replace("\n", "\r\n", 5).encode(),
        (HEAD + GOOD).encode("utf-16"),
    ],
    ids=["row-45-bom", "row-45-mixed-line-ends", "utf-16"],
)
def test_harmless_oddities_of_a_csv_file_are_taken(roomy: Live, content: bytes) -> None:
    answer = send(roomy, content)
    assert (answer.status_code, answer.json()["status"]) == (200, "processed")


def archive_with(name: str) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, b"0" * 1_000_000)
    return target.getvalue()


def tar() -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("../../escape"), io.BytesIO(b""))
    return target.getvalue()


ARCHIVES = {
    "zip": archive_with("train.csv"),
    "zip-with-dots": archive_with("../../escape.csv"),
    "tar": tar(),
    "rar": b"Rar!\x1a\x07\x01\x00" + bytes(100),
    "7z": b"7z\xbc\xaf\x27\x1c" + bytes(100),
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_row_46_archives_of_no_use_here_are_refused_and_nothing_is_kept(roomy: Live, kind: str) -> None:
    before = {path for path in Path(roomy.home).rglob("*") if path.is_file()}
    answer = send(roomy, ARCHIVES[kind], f"train.{kind[:3]}")
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    assert "CSV" in json.dumps(answer.json())
    assert {path for path in Path(roomy.home).rglob("*") if path.is_file()} == before
    roomy.assert_alive()
