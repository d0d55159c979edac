"""Rows 44 to 46 of the table of bad inputs, through HTTP: the answer names the row or line, and the report stays."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from adapters.queue import JobQueue
from tests.adapters.datasets.zips import classes, deflated, many_entries, pack, picture, raw_zip
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


def tar() -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("../../escape"), io.BytesIO(b""))
    return target.getvalue()


def bomb() -> bytes:
    """A megabyte that unpacks to a gibibyte."""
    return raw_zip([(b"cat/1.png", deflated(1024), 1 << 30, 0)])


def sealed() -> bytes:
    """A good zip whose last entry is marked as encrypted."""
    data = pack(classes())
    at = data.rindex(b"PK\1\2")
    return data[: at + 8] + b"\1" + data[at + 9 :]


def linked() -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        link = zipfile.ZipInfo("cat/1.png")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    return target.getvalue()


ARCHIVES: dict[str, tuple[Callable[[], bytes], int, str]] = {
    "zip-bomb": (bomb, 413, "archive_too_large"),
    "zip-of-a-million-entries": (lambda: many_entries(100_001), 413, "archive_too_large"),
    "zip-with-dots": (lambda: pack({"../../escape.png": picture(1)}), 422, "invalid_archive"),
    "zip-absolute": (lambda: pack({"/etc/escape.png": picture(1)}), 422, "invalid_archive"),
    "zip-with-a-link": (linked, 422, "invalid_archive"),
    "zip-overlapping": (
        lambda: raw_zip([(b"a/1.png", b"x" * 90, 90, 0), (b"a/2.png", b"x" * 90, 90, 0)], offsets=[0, 0]),
        422,
        "invalid_archive",
    ),
    "zip-nested": (lambda: pack(classes() | {"more.zip": pack(classes())}), 422, "invalid_archive"),
    "zip-encrypted": (sealed, 422, "invalid_archive"),
    "zip-of-a-table": (lambda: pack({"train.csv": HEAD + GOOD}), 415, "unsupported_media_type"),
    "xlsx": (lambda: pack({"[Content_Types].xml": "", "xl/workbook.xml": ""}), 415, "unsupported_media_type"),
    "tar": (tar, 415, "unsupported_media_type"),
    "rar": (lambda: b"Rar!\x1a\x07\x01\x00" + bytes(100), 415, "unsupported_media_type"),
    "7z": (lambda: b"7z\xbc\xaf\x27\x1c" + bytes(100), 415, "unsupported_media_type"),
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_row_46_bad_archives_are_refused_and_nothing_is_kept(roomy: Live, kind: str) -> None:
    make, status, code = ARCHIVES[kind]
    before = {path for path in Path(roomy.home).rglob("*") if path.is_file()}
    answer = send(roomy, make(), f"train.{kind[:3]}")
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert len(answer.content) <= 2048
    assert {path for path in Path(roomy.home).rglob("*") if path.is_file()} == before
    roomy.assert_alive()
