"""The store of files: streamed in, published at once or not at all, listed, deleted."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from adapters.datasets import FileRecord, FileStore, Page
from tests.adapters.datasets.conftest import pieces
from zoo.errors import InvalidInput, NotFound, TooLarge, Unavailable, Unsupported
from zoo.settings import Settings

CSV = b"text,label\ngood,a\nbad,b\n"
Upload = Callable[..., FileRecord]


def leftovers(home: Path) -> list[str]:
    return sorted(path.name for path in (home / "files").rglob("*") if path.is_file())


def test_an_upload_is_stored_inspected_and_found_again(store: FileStore, upload: Upload) -> None:
    record = upload(CSV, filename="train.csv")
    assert re.fullmatch(r"file-[0-9a-f]{24}", record.id)
    assert (record.status, record.format, record.bytes, record.filename) == ("processed", "csv", 24, "train.csv")
    assert record.sha256 == hashlib.sha256(CSV).hexdigest()
    assert not record.needs_worker
    assert store.get(record.id) == record
    assert store.content_path(record.id).read_bytes() == CSV
    assert (store.report(record.id).rows, store.report(record.id).file) == (2, record.id)
    assert [example.values["label"] for example in store.examples(record.id)] == ["a", "b"]


def test_an_untrainable_file_is_kept_with_its_report(store: FileStore, upload: Upload) -> None:
    record = upload(b"text,label\ngood,a\nbad,a\n")
    assert record.status == "error"
    assert record.status_details is not None and "Line 2" in record.status_details
    fatal = store.report(record.id).fatal
    assert fatal is not None and fatal.code == "one_label"
    assert store.content_path(record.id).exists()


def test_an_upload_over_the_limit_leaves_nothing_behind(tmp_path: Path, upload: Upload) -> None:
    with pytest.raises(TooLarge) as caught:
        upload(b"x" * 200_001)
    assert caught.value.code == "body_too_large"
    assert leftovers(tmp_path) == []


def test_an_endless_upload_is_stopped_at_the_limit(store: FileStore) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1000
            yield b"x" * 1000

    with pytest.raises(TooLarge):
        asyncio.run(store.receive(endless(), filename=None, purpose="batch"))
    assert sent == 201_000


def test_an_upload_that_breaks_off_leaves_nothing_behind(tmp_path: Path, store: FileStore) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield CSV
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        asyncio.run(store.receive(broken(), filename=None, purpose="fine-tune"))
    assert leftovers(tmp_path) == []
    assert store.list() == Page((), has_more=False)


def test_a_cancelled_upload_leaves_nothing_behind(tmp_path: Path, store: FileStore) -> None:
    async def scenario() -> None:
        started = asyncio.Event()

        async def waiting() -> AsyncIterator[bytes]:
            yield CSV
            started.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(store.receive(waiting(), filename=None, purpose="fine-tune"))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())
    assert leftovers(tmp_path) == []


def test_a_file_of_another_kind_leaves_nothing_behind(tmp_path: Path, upload: Upload) -> None:
    with pytest.raises(Unsupported):
        upload(b"7z\xbc\xaf\x27\x1c" + bytes(100))
    assert leftovers(tmp_path) == []


def test_the_content_decides_and_not_the_name(upload: Upload) -> None:
    assert upload(b'{"text": "good", "label": "a"}\n', filename="a.parquet").format == "jsonl"
    assert upload(b"PAR1" + bytes(100) + b"PAR1", filename="a.csv").format == "parquet"


def test_parquet_waits_for_a_worker(store: FileStore, upload: Upload) -> None:
    record = upload(b"PAR1" + bytes(100) + b"PAR1")
    assert (record.status, record.needs_worker) == ("uploaded", True)
    with pytest.raises(NotFound) as missing:
        store.report(record.id)
    assert missing.value.code == "report_not_found"
    with pytest.raises(Unavailable) as waiting:
        store.revalidate(record.id, task="text-classification")
    assert waiting.value.code == "file_not_ready"


def test_files_of_other_purposes_are_not_inspected(store: FileStore, upload: Upload) -> None:
    record = upload(b"PK\x03\x04", purpose="user_data")
    assert (record.status, record.format) == ("processed", None)
    with pytest.raises(NotFound):
        store.report(record.id)


def test_an_unknown_purpose_is_refused(upload: Upload) -> None:
    with pytest.raises(InvalidInput) as caught:
        upload(CSV, purpose="fun")
    assert caught.value.param == "purpose"


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\data\\train.csv", "train.csv"),
        ("a\0b\r\n\x1b[31m.csv", "ab[31m.csv"),
        ("x" * 10_000, "x" * 255),
        ("..", "data"),
        ("", "data"),
        (None, "data"),
        ("größe.csv", "größe.csv"),
        ("a\ud800\u202eb", "ab"),
    ],
)
def test_a_file_name_is_a_label(tmp_path: Path, store: FileStore, upload: Upload, sent: str, kept: str) -> None:
    record = upload(CSV, filename=sent)
    assert record.filename == kept
    assert leftovers(tmp_path) == ["data", "file.json", "report.json"]


def test_lists_are_paged_newest_first(store: FileStore, upload: Upload) -> None:
    ids = [upload(CSV).id for _ in range(5)]
    first = store.list(limit=2)
    assert [item.id for item in first.items] == [ids[4], ids[3]]
    assert first.has_more
    rest = store.list(limit=3, after=ids[3])
    assert [item.id for item in rest.items] == [ids[2], ids[1], ids[0]]
    assert not rest.has_more
    assert [item.id for item in store.list(order="asc", limit=2).items] == ids[:2]


def test_lists_can_be_limited_to_a_purpose(store: FileStore, upload: Upload) -> None:
    upload(CSV)
    result = store.add(b"step,loss\n1,0.5\n", filename="metrics.csv", purpose="fine-tune-results")
    assert [item.id for item in store.list(purpose="fine-tune-results").items] == [result.id]


@pytest.mark.parametrize("query", [{"after": "file-" + "0" * 24}, {"limit": 0}, {"limit": 10_001}, {"order": "up"}])
def test_a_wrong_query_is_invalid_input(store: FileStore, upload: Upload, query: dict[str, object]) -> None:
    upload(CSV)
    with pytest.raises(InvalidInput) as caught:
        store.list(**query)  # type: ignore[arg-type]
    assert caught.value.param in query


def test_results_are_added_from_bytes_and_files(tmp_path: Path, store: FileStore) -> None:
    path = tmp_path / "metrics.csv"
    path.write_bytes(b"step\n1\n")
    for source in (b"step\n1\n", path):
        record = store.add(source, filename="metrics.csv", purpose="fine-tune-results")
        assert (record.status, record.bytes) == ("processed", 7)
        assert store.content_path(record.id).read_bytes() == b"step\n1\n"
    assert path.exists()


def test_a_deleted_file_is_gone(tmp_path: Path, store: FileStore, upload: Upload) -> None:
    record = upload(CSV)
    store.delete(record.id)
    assert leftovers(tmp_path) == []
    for ask in (store.get, store.delete, store.content_path, store.report):
        with pytest.raises(NotFound):
            ask(record.id)


@pytest.mark.parametrize("file_id", ["file-" + "0" * 24, "../files", "file-../../x", "", "file-" + "A" * 24])
def test_an_unknown_id_is_not_found(store: FileStore, upload: Upload, file_id: str) -> None:
    upload(CSV)
    with pytest.raises(NotFound):
        store.get(file_id)


def test_a_file_vanishes_at_its_time(
    tmp_path: Path, store: FileStore, upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = upload(CSV, expires_after=3600)
    assert record.expires_at == record.created_at + 3600
    assert store.get(record.id) == record
    monkeypatch.setattr(time, "time", lambda: float(record.created_at + 3600))
    assert store.list().items == ()
    with pytest.raises(NotFound):
        store.get(record.id)
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("seconds", [0, 3599, 2592001])
def test_a_wrong_time_of_life_is_refused(upload: Upload, seconds: int) -> None:
    with pytest.raises(InvalidInput) as caught:
        upload(CSV, expires_after=seconds)
    assert caught.value.param == "expires_after"


def test_what_a_killed_process_left_is_removed_a_day_later(
    tmp_path: Path, upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(CSV)
    torn = tmp_path / "files" / ".incoming" / "torn"
    torn.mkdir()
    upload(CSV)
    assert torn.exists()
    later = time.time() + 25 * 3600
    monkeypatch.setattr(time, "time", lambda: later)
    upload(CSV)
    assert not torn.exists()


def test_other_columns_are_judged_without_changing_what_is_stored(store: FileStore, upload: Upload) -> None:
    record = upload(b"text,label,topic\none,a,x\ntwo,a,y\n")
    assert record.status == "error"
    report = store.revalidate(record.id, task="text-classification", columns={"label": "topic"})
    assert report.fatal is None
    assert [example.values["label"] for example in store.examples(record.id, report)] == ["x", "y"]
    assert store.get(record.id).status == "error"


def test_an_inspection_stores_what_it_finds(store: FileStore, upload: Upload) -> None:
    record = upload(b"text,label,topic\none,a,x\ntwo,a,y\n")
    store.inspect(record.id, columns={"label": "topic"})
    assert store.get(record.id).status == "processed"
    assert store.get(record.id).status_details is None
    assert store.report(record.id).columns == {"text": "text", "label": "topic"}


def test_a_task_without_a_data_format_is_refused_with_those_that_have_one(store: FileStore, upload: Upload) -> None:
    record = upload(CSV)
    with pytest.raises(InvalidInput) as caught:
        store.revalidate(record.id, task="../x")
    assert (caught.value.code, caught.value.param) == ("unknown_task", "task")
    assert "text-classification" in caught.value.message


def test_a_full_disk_is_unavailable(store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Unavailable) as caught:
        asyncio.run(store.receive(pieces(CSV), filename=None, purpose="fine-tune"))
    assert caught.value.code == "storage_full"
    assert store.list().items == ()


def test_two_stores_on_one_folder_see_the_same(tmp_path: Path, settings: Settings, upload: Upload) -> None:
    record = upload(CSV)
    assert FileStore(tmp_path, settings).get(record.id) == record
