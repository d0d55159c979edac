"""Builds tiny data files and inspects them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Protocol

import pytest

from adapters.datasets import Example, FileRecord, FileStore, Limits, Report, inspect_file, read_examples
from tests.adapters.datasets.zips import Files, pack
from zoo.settings import Settings


class Inspect(Protocol):
    def __call__(self, content: bytes | str, *, columns: dict[str, str] | None = None, **limits: int) -> Report: ...


@pytest.fixture
def inspect(tmp_path: Path) -> Inspect:
    def run(content: bytes | str, *, columns: dict[str, str] | None = None, **limits: int) -> Report:
        path = tmp_path / "data"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        bounds = Limits(**{"rows": 1000, "row_bytes": 65536, "labels": 100, **limits})
        return inspect_file(path, task="text-classification", limits=bounds, columns=columns)

    return run


class InspectZip(Protocol):
    def __call__(
        self,
        files: Files | bytes,
        *,
        task: str | None = None,
        columns: dict[str, str] | None = None,
        rows: int = 1000,
        labels: int = 100,
    ) -> Report: ...


@pytest.fixture
def inspect_zip(tmp_path: Path) -> InspectZip:
    def run(
        files: Files | bytes,
        *,
        task: str | None = None,
        columns: dict[str, str] | None = None,
        rows: int = 1000,
        labels: int = 100,
    ) -> Report:
        path = tmp_path / "data"
        path.write_bytes(files if isinstance(files, bytes) else pack(files))
        bounds = Limits(rows=rows, row_bytes=65536, labels=labels)
        return inspect_file(path, task=task, limits=bounds, columns=columns)

    return run


@pytest.fixture
def examples_of(inspect_zip: InspectZip, tmp_path: Path) -> Callable[[Files], list[Example]]:
    """The usable examples of a zip, read as training reads them."""

    def run(files: Files) -> list[Example]:
        report = inspect_zip(files)
        return list(read_examples(tmp_path / "data", report))

    return run


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, max_upload_bytes=200_000, max_rows=1000, max_labels=20)


@pytest.fixture
def store(tmp_path: Path, settings: Settings) -> FileStore:
    return FileStore(tmp_path, settings)


async def pieces(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 1000):
        yield content[start : start + 1000]


@pytest.fixture
def upload(store: FileStore) -> Callable[..., FileRecord]:
    def run(
        content: bytes, *, filename: str | None = "a.csv", purpose: str = "fine-tune", expires_after: int | None = None
    ) -> FileRecord:
        return asyncio.run(
            store.receive(pieces(content), filename=filename, purpose=purpose, expires_after=expires_after)
        )

    return run
