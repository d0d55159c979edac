"""One servable model version: its task and its session, and the way from a request's inputs to the answer."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from zoo.catalogue.entry import ModelEntry
from zoo.engine.session import Session
from zoo.errors import InvalidInput, ZooError
from zoo.tasks.task import Array, Encoded, load_task

MODEL_FILE = "model.onnx"


@dataclass(frozen=True)
class Prediction:
    """The answer to one request and what it took. ``body`` is JSON-ready, in the shape that the clients parse."""

    entry: ModelEntry
    body: object
    items: int
    failed: int = 0
    truncated: int = 0
    tokens: int = 0
    queue_ms: float = 0.0
    run_ms: float = 0.0


@dataclass
class _Rows:
    """What became of each item of a request: encoded, answered or failed, by its place."""

    encoded: dict[int, Encoded] = field(default_factory=dict)
    answers: dict[int, Array] = field(default_factory=dict)
    errors: dict[int, ZooError] = field(default_factory=dict)


class Predictor:
    """Answers requests for one model version; safe to call from several threads.

    ``folder`` holds the version's files, whose hashes the caller has checked. Raises ``ArtifactCorrupt`` when they
    cannot be loaded. Whoever proves a version before it is published (the gate) uses this very class.
    """

    def __init__(self, entry: ModelEntry, folder: Path, *, threads: int, max_items: int = 2048) -> None:
        self.entry = entry
        self._max_items = max_items
        self._task = load_task(entry, folder)
        self._session = Session(folder / MODEL_FILE, threads=threads)

    def predict(self, inputs: object, parameters: Mapping[str, Any] | None = None) -> Prediction:
        """Answer one item or a list of them; in a list, a bad item is answered with its error and harms no other.

        Raises ``InvalidInput`` or ``TooLarge`` when nothing could be answered.
        """
        options = self._task.parameters(parameters or {})
        items, many = self._task.items(inputs)
        self._check_count(items, "inputs")
        started = time.perf_counter()
        rows = self._answer(items, options)
        if rows.errors and (not many or len(rows.errors) == len(items)):
            raise rows.errors[min(rows.errors)]
        results: list[object] = [
            _described(rows.errors[place])
            if place in rows.errors
            else self._task.postprocess(rows.answers[place], rows.encoded[place], options)
            for place in range(len(items))
        ]
        return self._prediction(self._task.respond(results, many), rows, started)

    def rows(self, inputs: Sequence[object], parameters: Mapping[str, Any] | None = None) -> list[Array]:
        """The model's bare answer to each item (logits, pooled vectors): the gate compares it. Raises on a bad item."""
        rows = self._answer(list(inputs), self._task.parameters(parameters or {}))
        if rows.errors:
            raise rows.errors[min(rows.errors)]
        return [rows.answers[place] for place in range(len(inputs))]

    def embed(self, texts: list[str]) -> Prediction:
        """Vectors for ``/v1/embeddings``: ``body`` is a list of float32 arrays. All or nothing; names the bad item."""
        if not self._task.embeds:
            message = f"{self.entry.name} answers {self.entry.task}; ask a model that gives vectors, such as minilm."
            raise InvalidInput(message, code="wrong_task", param="model")
        self._check_count(texts, "input")
        options = self._task.parameters({})
        started = time.perf_counter()
        rows = self._answer(list(texts), options)
        if rows.errors:
            place = min(rows.errors)
            error = rows.errors[place]
            raise type(error)(f"input[{place}]: {error.message}", code=error.code, param="input")
        vectors = [
            np.asarray(self._task.postprocess(rows.answers[place], rows.encoded[place], options), dtype=np.float32)
            for place in range(len(texts))
        ]
        return self._prediction(vectors, rows, started)

    def warm(self) -> None:
        """Run one item, so that the first user does not wait for memory to be laid out."""
        self._answer([self._task.sample], self._task.parameters({}))

    def _check_count(self, items: Sequence[object], param: str) -> None:
        if not items:
            raise InvalidInput(f"{param} is an empty list: send at least one item.", code="batch_size", param=param)
        if len(items) > self._max_items:
            message = (
                f"{param} has {len(items)} items; at most {self._max_items} are answered at once. Send several lists."
            )
            raise InvalidInput(message, code="batch_size", param=param)

    def _answer(self, items: list[object], options: object) -> _Rows:
        rows = _Rows()
        for place, item in enumerate(items):
            try:
                rows.encoded[place] = self._task.preprocess(item, options)
            except ZooError as error:
                rows.errors[place] = error
        for places in _batches(rows.encoded, self._task.batch_cost):
            batch = [rows.encoded[place] for place in places]
            rows.answers.update(zip(places, self._task.run(batch, self._session.run), strict=True))
        return rows

    def _prediction(self, body: object, rows: _Rows, started: float) -> Prediction:
        return Prediction(
            entry=self.entry,
            body=body,
            items=len(rows.encoded) + len(rows.errors),
            failed=len(rows.errors),
            truncated=sum(row.truncated for row in rows.encoded.values()),
            tokens=sum(row.cost for row in rows.encoded.values()),
            run_ms=(time.perf_counter() - started) * 1000,
        )


def _batches(encoded: Mapping[int, Encoded], cost: int) -> Iterator[list[int]]:
    """Places in runs of similar length, each at most ``cost`` with padding counted, or of a single row."""
    batch: list[int] = []
    for place in sorted(encoded, key=lambda place: encoded[place].cost):
        if batch and encoded[place].cost * (len(batch) + 1) > cost:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def _described(error: ZooError) -> dict[str, object]:
    return {"error": error.message, "code": error.code}
