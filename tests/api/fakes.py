"""Stand-ins for the engine: a classifier that counts words, vectors that count characters. No model, no weights."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from tests.api.picture_fakes import look
from zoo.catalogue.entry import CatalogueEntry, HubSource, ModelEntry
from zoo.catalogue.registry import Registry
from zoo.catalogue.store import Store
from zoo.engine.answers import AnswerCounts
from zoo.engine.loader import Loader
from zoo.engine.predictor import Prediction
from zoo.engine.row_counts import RowCounts
from zoo.engine.shelf import Change, Held, Memory
from zoo.engine.threads import Threads
from zoo.errors import InvalidInput, TooLarge, Unavailable
from zoo.tasks.task import Batch

MAX_CHARACTERS = 100_000


class CountingLoader(Loader):
    """Answers as the engine does, from the number of words; ``gate`` holds predictions back, ``cancelled`` counts."""

    def __init__(self, registry: Registry, store: Store) -> None:
        self.registry = registry
        self.store = store
        self.gate = asyncio.Event()
        self.gate.set()
        self.cancelled = 0
        self.held = 0
        self.counts = RowCounts()
        self.cores = 2
        self.deadline = math.inf
        self.full = False
        self.fault: Exception | None = None

    async def predict(
        self,
        reference: str,
        inputs: object,
        parameters: Mapping[str, Any],
        *,
        task: str | None = None,
        deadline: float = math.inf,
    ) -> Prediction:
        self.deadline = deadline
        entry = self.registry.resolve(reference)
        if entry.modality == "image":
            items = inputs if isinstance(inputs, list) else [inputs]
            seen = [look(item, entry.task, parameters) for item in items]
            return _prediction(entry, seen if isinstance(inputs, list) else seen[0], items=len(items), failed=0)
        if unknown := set(parameters) - {"top_k"}:
            raise InvalidInput("Unknown parameter.", code="unknown_field", param=f"parameters.{min(unknown)[:64]}")
        if self.fault is not None:
            raise self.fault
        await self._wait()
        items = inputs if isinstance(inputs, list) else [inputs]
        body = [self._item(item, entry, alone=not isinstance(inputs, list)) for item in items]
        failed = sum(isinstance(answer, dict) for answer in body)
        return _prediction(entry, body, items=len(items), failed=failed)

    async def embed(self, reference: str, texts: list[str], *, deadline: float = math.inf) -> Prediction:
        entry = self.registry.resolve(reference)
        vectors = [np.array([len(text), len(text.split()), 0.5], dtype=np.float32) for text in texts]
        return _prediction(entry, vectors, items=len(texts), failed=0)

    def check_room(self, reference: str | None, deadline: float) -> None:
        if self.full:
            raise Unavailable("Too much to do.", code="overloaded", retry_after=3)

    def check(self, reference: str) -> None:
        self.store.verify(self.registry.resolve(reference))

    def unload(self, name: str) -> None:
        pass

    def rows_waiting(self) -> int:
        return 0

    def running(self, entry: ModelEntry) -> Any:
        return SimpleNamespace(
            threads=Threads(workers=2, alone=2, single_ms=5.7, alone_ms=3.1), why=None, provider="cpu"
        )

    def loaded(self) -> list[Held]:
        return []

    def waiting(self) -> int:
        return self.held

    def memory(self) -> Memory:
        return Memory(
            budget=1_000_000, taken=60, changes=[Change("short@1", "load", 100, 160)], counts={("short@1", "load"): 1}
        )

    def answers(self) -> AnswerCounts:
        return AnswerCounts(shared=3, hits=2, misses=1, kept=512, on=True)

    def close(self) -> None:
        pass

    async def _wait(self) -> None:
        self.held += 1
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.held -= 1

    def _item(self, item: object, entry: ModelEntry, *, alone: bool) -> Any:
        if isinstance(item, str) and len(item) <= MAX_CHARACTERS:
            score = 1 / (1 + len(item.split()))
            return [{"label": "short", "score": score}, {"label": "long", "score": 1 - score}]
        if not isinstance(item, str):
            error: InvalidInput | TooLarge = InvalidInput("An item has to be a text.", param="inputs")
        else:
            error = TooLarge("The text is too long: cut it.", code="input_too_long", param="inputs")
        if alone:
            raise error
        return {"error": error.message, "code": error.code}


def _prediction(entry: ModelEntry, body: Any, *, items: int, failed: int) -> Prediction:
    return Prediction(
        entry=entry,
        body=body,
        failed=failed,
        truncated=0,
        tokens=7,
        items=items,
        queue_ms=0.25,
        run_ms=1.5,
        batches=(Batch(rows=3, others=2, padding=0.25, queue_ms=0.2, run_ms=1.5),),
    )


CATALOGUE = {
    name: CatalogueEntry(
        name=name,
        title=f"{name} for tests",
        task="feature-extraction",
        modality="text",
        architecture="bert",
        licence="apache-2.0",
        size_mb=90,
        sources=(HubSource(kind="hub", id=f"example/{name}"),),
    )
    for name in ("minilm", "bert-base")
}


_SIZES = {"layers": 1, "heads": 1, "width": 1, "vocabulary": 2, "most_tokens": 2, "start": 0, "end": 0}


def publish(
    store: Store,
    name: str,
    *,
    base: str | None = None,
    labels: tuple[str, ...] = (),
    picture_task: str = "",
    translates: tuple[str, str] | None = None,
) -> ModelEntry:
    """A version of files that are not a model: enough for everything around the engine."""
    draft = ModelEntry(
        name=name,
        version=1,
        task="translation" if translates else picture_task or ("text-classification" if base else "feature-extraction"),
        modality="image" if picture_task else "text",
        architecture="bert",
        licence="apache-2.0",
        created=int(time.time()),
        base=base,
        labels=labels,
        options={"text_to_text": _SIZES | dict(zip(("source", "target"), translates, strict=True))}
        if translates
        else {},
    )
    with store.staging() as staged:
        _write(staged / "model.onnx", b"graph")
        if base is None:
            _write(staged / "checkpoint" / "config.json", b"{}")
        return store.publish(staged, draft)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
