"""Builds tiny data files and inspects them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Protocol

import pytest

from adapters.datasets import FileRecord, FileStore, Limits, Report, inspect_file
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
