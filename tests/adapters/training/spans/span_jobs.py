"""Jobs on marked texts: an encoder that words can be told apart by, data files, and what is asked for."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from adapters.datasets import FileStore
from adapters.jobs import Hyperparameters, JobKind, JobSpec
from tests.adapters.training.quiet_context import QuietContext, context_for
from tests.conftest import TinyZoo
from tests.tiny_spans import write_jsonl

FAST = Hyperparameters(n_epochs=8, batch_size=8, learning_rate=0.01)
LONGER = Hyperparameters(n_epochs=12, batch_size=8, learning_rate=0.01)


def upload(zoo: TinyZoo, data: Sequence[dict[str, Any]]) -> str:
    """The id of a data file with these rows, for which no task is named."""
    path = write_jsonl(zoo.home / "upload.jsonl", data)

    async def chunks() -> AsyncIterator[bytes]:
        yield path.read_bytes()

    files = FileStore(zoo.home, zoo.settings)
    return asyncio.run(files.receive(chunks(), filename="rows.jsonl", purpose="fine-tune")).id


def asked(zoo: TinyZoo, *, job: str = "ftjob-1", **spec: Any) -> QuietContext:
    """A job that adapts ``mini`` unless something else is said."""
    defaults: dict[str, Any] = {"kind": JobKind.ADAPT, "model": "mini", "suffix": "finder", "hyperparameters": FAST}
    return context_for(zoo.home, JobSpec(**(defaults | spec)), job=job)


def own(bodies: TinyZoo, folder: Path) -> TinyZoo:
    """A copy that the test may change."""
    shutil.copytree(bodies.home, folder / "home")
    return TinyZoo(folder / "home", bodies.checkpoints)
