"""Runs a fine-tune job on rows of a test's own, from the data file to the published version."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from adapters.datasets import FileStore
from adapters.jobs import Hyperparameters, JobKind, JobSpec
from adapters.training import adapt
from tests.adapters.training.quiet_context import context_for
from tests.conftest import TinyZoo
from tests.tiny_sentences import write_rows
from zoo.catalogue.entry import ModelEntry
from zoo.engine.predictor import Predictor

FAST = Hyperparameters(n_epochs=6, batch_size=8, learning_rate=0.01)


def uploaded(zoo: TinyZoo, rows: Sequence[dict[str, Any]]) -> str:
    """The id of a data file with these rows."""
    path = write_rows(zoo.home / "upload.jsonl", rows)

    async def chunks() -> AsyncIterator[bytes]:
        yield path.read_bytes()

    files = FileStore(zoo.home, zoo.settings)
    return asyncio.run(files.receive(chunks(), filename="rows.jsonl", purpose="fine-tune")).id


def adapted(
    zoo: TinyZoo, rows: Sequence[dict[str, Any]], *, job: str = "ftjob-1", **spec: Any
) -> tuple[ModelEntry, dict[str, Any]]:
    """The version that ``mini`` becomes by these rows, and the result of the job."""
    wanted: dict[str, Any] = {"model": "mini", "suffix": "learnt", "hyperparameters": FAST, "seed": 3} | spec
    spec_ = JobSpec(kind=JobKind.ADAPT, training_file=uploaded(zoo, rows), **wanted)
    result = adapt.run(context_for(zoo.home, spec_, job=job), zoo.settings)
    return zoo.store.entry(wanted["suffix"], 1), result


def served(zoo: TinyZoo, entry: ModelEntry) -> Predictor:
    """As the service serves it."""
    return Predictor(entry, zoo.store.folder(entry.name, entry.version), threads=1)
