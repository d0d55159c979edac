"""The job that reads an uploaded Parquet file, within hard bounds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Literal

import pyarrow
import pytest
from pyarrow import parquet

from adapters.datasets import FileRecord, FileStore
from adapters.datasets.media import survey
from adapters.jobs import Job, JobKind, JobSpec, JobStopped
from adapters.training import inspect
from adapters.training.parquet import Bounds, convert
from tests.adapters.datasets.zips import classes, pack
from zoo.errors import InvalidInput, NotFound
from zoo.settings import Settings

LARGE = Bounds(rows=1_000_000, row_bytes=65_536, total_bytes=20_000_000)


class Context:
    """A job without a queue; ``lost`` is whether its lease has passed to another worker."""

    def __init__(self, folder: Path, spec: JobSpec, *, lost: bool = False) -> None:
        self.job = Job(id="ftjob-1", spec=spec, created_at=0.0)
        self.folder = self.attempt_folder = folder
        self.stages: list[tuple[str, int, int]] = []
        self._lost = lost

    def tick(
        self,
        stage: str,
        step: int,
        total: int,
        *,
        save: Callable[[], None] | None = None,
        eta_seconds: float | None = None,
        **metrics: float,
    ) -> None:
        self.stages.append((stage, step, total))

    def event(self, message: str, *, level: Literal["info", "warn", "error"] = "info", **data: Any) -> None:
        raise AssertionError("this job has no events of its own")

    def checkpointed(self, step: int, **metrics: float) -> None:
        raise AssertionError("this job has no checkpoints")

    def confirm(self) -> None:
        if self._lost:
            raise JobStopped


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


@pytest.fixture
def store(tmp_path: Path, settings: Settings) -> FileStore:
    return FileStore(tmp_path, settings)


def upload(store: FileStore, content: bytes) -> FileRecord:
    async def pieces() -> AsyncIterator[bytes]:
        yield content

    return asyncio.run(store.receive(pieces(), filename="a.parquet", purpose="fine-tune"))


def packed(table: Any, path: Path, **options: Any) -> bytes:
    parquet.write_table(table, path, store_schema=False, **options)
    return path.read_bytes()


def run(tmp_path: Path, settings: Settings, spec: JobSpec, *, lost: bool = False) -> dict[str, Any]:
    folder = tmp_path / "attempt"
    folder.mkdir(exist_ok=True)
    return inspect.run(Context(folder, spec, lost=lost), settings)


def spec_of(record: FileRecord, **columns: str) -> JobSpec:
    return JobSpec(kind=JobKind.INSPECT, training_file=record.id, columns=columns)


def test_a_table_becomes_rows_and_a_report(tmp_path: Path, settings: Settings, store: FileStore) -> None:
    table = pyarrow.table({"text": ["good", "bad", None], "label": [1, 0, 1], "weight": [0.5, float("nan"), 1.0]})
    content = packed(table, tmp_path / "a")
    record = upload(store, content)
    assert run(tmp_path, settings, spec_of(record)) == {"file": record.id, "status": "processed", "rows": 3}
    found = store.get(record.id)
    assert (found.status, found.needs_worker) == ("processed", False)
    report = store.report(record.id)
    assert (report.format, report.rows, report.usable_rows) == ("parquet", 3, 2)
    assert (report.problems[0].code, report.problems[0].row) == ("empty_text", 3)
    assert [example.values for example in store.examples(record.id)] == [
        {"text": "good", "label": "1"},
        {"text": "bad", "label": "0"},
    ]
    assert store.content_path(record.id).read_bytes() == content


def test_the_chat_form_is_read_from_a_table_too(tmp_path: Path, settings: Settings, store: FileStore) -> None:
    chats = [[{"role": "user", "content": text}, {"role": "assistant", "content": text[0]}] for text in ("one", "two")]
    record = upload(store, packed(pyarrow.table({"messages": chats}), tmp_path / "a"))
    run(tmp_path, settings, spec_of(record))
    assert [example.values for example in store.examples(record.id)] == [
        {"text": "one", "label": "o"},
        {"text": "two", "label": "t"},
    ]


def test_chosen_columns_are_used(tmp_path: Path, settings: Settings, store: FileStore) -> None:
    table = pyarrow.table({"text": ["good", "bad"], "label": ["a", "a"], "topic": ["x", "y"]})
    record = upload(store, packed(table, tmp_path / "a"))
    assert run(tmp_path, settings, spec_of(record, label="topic"))["status"] == "processed"
    assert store.report(record.id).columns == {"text": "text", "label": "topic"}


def test_an_untrainable_table_is_kept_with_its_report(tmp_path: Path, settings: Settings, store: FileStore) -> None:
    record = upload(store, packed(pyarrow.table({"text": ["good", "bad"], "label": ["a", "a"]}), tmp_path / "a"))
    assert run(tmp_path, settings, spec_of(record))["status"] == "error"
    fatal = store.report(record.id).fatal
    assert fatal is not None and fatal.code == "one_label"


def test_a_table_without_rows_is_untrainable(tmp_path: Path, settings: Settings, store: FileStore) -> None:
    empty = pyarrow.table({"text": pyarrow.array([], pyarrow.string()), "label": pyarrow.array([], pyarrow.string())})
    record = upload(store, packed(empty, tmp_path / "a"))
    assert run(tmp_path, settings, spec_of(record))["status"] == "error"
    fatal = store.report(record.id).fatal
    assert fatal is not None and fatal.code == "no_rows"


def test_a_damaged_file_is_reported(tmp_path: Path, settings: Settings, store: FileStore) -> None:
    content = packed(pyarrow.table({"text": ["good"] * 100, "label": ["a"] * 100}), tmp_path / "a")
    record = upload(store, content[: len(content) // 2])
    assert run(tmp_path, settings, spec_of(record))["status"] == "error"
    fatal = store.report(record.id).fatal
    assert fatal is not None and fatal.code == "invalid_archive"
    assert store.revalidate(record.id, task="text-classification").fatal == fatal


def test_an_attempt_that_lost_its_lease_changes_nothing(tmp_path: Path, settings: Settings, store: FileStore) -> None:
    record = upload(store, packed(pyarrow.table({"text": ["good", "bad"], "label": ["a", "b"]}), tmp_path / "a"))
    with pytest.raises(JobStopped):
        run(tmp_path, settings, spec_of(record), lost=True)
    assert store.get(record.id) == record


def test_a_job_without_its_file_fails(tmp_path: Path, settings: Settings) -> None:
    with pytest.raises(InvalidInput):
        run(tmp_path, settings, JobSpec(kind=JobKind.INSPECT))
    with pytest.raises(NotFound):
        run(tmp_path, settings, JobSpec(kind=JobKind.INSPECT, training_file="file-" + "0" * 24))


def _repeated(value: str, rows: int) -> Any:
    """``rows`` times one value, that is held once."""
    return pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * rows, pyarrow.int32()), pyarrow.array([value]))


def test_a_megabyte_that_stands_for_gigabytes_is_refused(tmp_path: Path, settings: Settings, store: FileStore) -> None:
    noise = pyarrow.array([index * 2_654_435_761 % 2**32 for index in range(250_000)], pyarrow.uint32())
    bomb = pyarrow.table({"text": _repeated("a" * 38_400, 250_000), "label": noise})  # 9.6 GB as text
    content = packed(bomb, tmp_path / "a", compression="zstd")
    assert 500_000 < len(content) < 2_000_000
    record = upload(store, content)
    assert run(tmp_path, settings, spec_of(record)) == {"file": record.id, "status": "error", "rows": 0}
    fatal = store.report(record.id).fatal
    assert fatal is not None and fatal.code == "archive_too_large"
    assert sorted(path.name for path in (tmp_path / "files" / record.id).iterdir()) == [
        "data",
        "file.json",
        "report.json",
    ]
    assert list((tmp_path / "attempt").iterdir()) == []


@pytest.mark.parametrize(
    ("columns", "code", "row"),
    [
        ({"text": _repeated("a" * 10_000_000, 1000)}, "row_too_long", 1),
        ({"text": ["short", "a" * 65_537]}, "row_too_long", 2),
        ({"text": _repeated("a" * 60_000, 1000)}, "archive_too_large", 334),
        ({"number": _repeated("a", 1_000_001)}, "too_many_rows", None),
        ({f"c{number}": ["a"] for number in range(1001)}, "too_many_columns", None),
    ],
    ids=["long-repeated-row", "long-row", "much", "rows", "columns"],
)
def test_a_table_over_a_limit_is_refused(tmp_path: Path, columns: dict[str, Any], code: str, row: int | None) -> None:
    packed(pyarrow.table(columns), tmp_path / "a")
    problem = convert(tmp_path / "a", tmp_path / "rows", LARGE)
    assert problem is not None
    assert (problem.code, problem.row) == (code, row)


def test_pages_that_unpack_beyond_the_limit_are_refused_unread(tmp_path: Path) -> None:
    packed(pyarrow.table({"text": ["a" * 60_000] * 1000}), tmp_path / "a", compression="zstd", use_dictionary=False)
    problem = convert(tmp_path / "a", tmp_path / "rows", LARGE)
    assert problem is not None
    assert problem.code == "archive_too_large"
    assert not (tmp_path / "rows").exists()


def test_running_out_of_address_space_is_a_problem_of_the_file(tmp_path: Path) -> None:
    tight = Bounds(rows=10**6, row_bytes=65_536, total_bytes=2**34, memory=500 * 2**20)
    options = {"compression": "zstd", "use_dictionary": False, "data_page_size": 2**30, "write_batch_size": 10**6}
    packed(pyarrow.table({"text": ["a"] * 4000}), tmp_path / "small", **options)
    assert convert(tmp_path / "small", tmp_path / "rows", tight) is None
    packed(pyarrow.table({"text": ["a" * 60_000] * 4000}), tmp_path / "large", **options)  # one page of 240 MB
    problem = convert(tmp_path / "large", tmp_path / "rows", tight)
    assert problem is not None
    assert (problem.code, "memory" in problem.message) == ("archive_too_large", True)


def test_the_pictures_of_a_large_zip_are_decoded_and_its_report_written(
    tmp_path: Path, settings: Settings, store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survey, "INLINE_FILES", 2)
    record = upload(store, pack(classes()))
    assert record.needs_worker
    folder = tmp_path / "attempt"
    folder.mkdir()
    context = Context(folder, spec_of(record))
    assert inspect.run(context, settings) == {"file": record.id, "status": "processed", "rows": 6}
    assert ("decode", 3, 4) in context.stages
    assert store.report(record.id).task == "image-classification"
    assert len(list(store.examples(record.id))) == 6
