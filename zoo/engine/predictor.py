"""One servable model version: its task and its session, and the way from a request's inputs to the answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from zoo.catalogue.entry import ModelEntry
from zoo.engine.session import ON_CPU, Placement, Sessions
from zoo.errors import InvalidInput, ZooError
from zoo.tasks.ready_made.answers import runs_of
from zoo.tasks.task import Array, Bundle, Encoded, Task, load_task, task_class

MODEL_FILE = "model.onnx"
WINDOW = 32  # batches whose items are in memory together: 256 pictures of 224 pixels are 154 MB


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
    """What became of each item of a request: answered or failed, by its place; and what all of them took."""

    answers: dict[int, Any] = field(default_factory=dict)
    errors: dict[int, ZooError] = field(default_factory=dict)
    truncated: int = 0
    cost: int = 0


Finish = Callable[[Any, Encoded], Any]
_Key = TypeVar("_Key")


class Predictor:
    """Answers requests for one model version; safe to call from several threads.

    ``folder`` holds the version's files, whose hashes the caller has checked. Raises ``ArtifactCorrupt`` when they
    cannot be loaded. Whoever proves a version before it is published (the gate) uses this very class.
    """

    def __init__(
        self,
        entry: ModelEntry,
        folder: Path,
        *,
        threads: int,
        max_items: int = 2048,
        placement: Placement = ON_CPU,
    ) -> None:
        self.entry = entry
        self._max_items = max_items
        self._task = load_task(entry, folder)
        others = [kind for name in self._task.also if (kind := task_class(name)).fits(entry)]
        self._others = [kind(entry, folder) for kind in others]
        sessions = Sessions(folder, main=MODEL_FILE, threads=threads, placement=placement)
        self.provider = sessions.provider
        self._sessions = runs_of(sessions, entry.options)

    def predict(self, inputs: object, parameters: Mapping[str, Any] | None = None) -> Prediction:
        """Answer one item or a list of them; in a list, a bad item is answered with its error and harms no other.

        Raises ``InvalidInput`` or ``TooLarge`` when nothing could be answered.
        """
        task = self._asked(inputs, parameters or {})
        options = task.parameters(parameters or {})
        items, many = task.items(inputs)
        self._check_count(items, "inputs")
        started = time.perf_counter()
        rows = self._answer(task, items, options, lambda row, encoded: task.postprocess(row, encoded, options))
        if rows.errors and (not many or len(rows.errors) == len(items)):
            raise rows.errors[min(rows.errors)]
        results: list[object] = [
            _described(rows.errors[place]) if place in rows.errors else rows.answers[place]
            for place in range(len(items))
        ]
        return self._prediction(task.respond(results, many), rows, started)

    def rows(self, inputs: Sequence[object], parameters: Mapping[str, Any] | None = None) -> list[Array]:
        """The model's bare answer to each item (logits, pooled vectors). Raises on a bad item."""
        rows = self._answer(self._task, list(inputs), self._task.parameters(parameters or {}), lambda row, _: row)
        if rows.errors:
            raise rows.errors[min(rows.errors)]
        return [rows.answers[place] for place in range(len(inputs))]

    def answers(self, inputs: Sequence[object]) -> list[tuple[Any, object]]:
        """Of each item the model's bare answer, and the body that a client gets for it: the gate compares both."""
        options = self._task.parameters({})

        def finish(row: Any, encoded: Encoded) -> tuple[Any, object]:
            return row, self._task.respond([self._task.postprocess(row, encoded, options)], False)

        rows = self._answer(self._task, list(inputs), options, finish)
        if rows.errors:
            raise rows.errors[min(rows.errors)]
        return [rows.answers[place] for place in range(len(inputs))]

    def embed(self, texts: list[str]) -> Prediction:
        """Vectors for ``/v1/embeddings``: ``body`` is a list of float32 arrays. All or nothing; names the bad item."""
        task = next((one for one in (self._task, *self._others) if one.embeds), None)
        if task is None:
            message = f"{self.entry.name} answers {self.entry.task}; ask a model that gives vectors, such as minilm."
            raise InvalidInput(message, code="wrong_task", param="model")
        self._check_count(texts, "input")
        options = task.parameters({})
        started = time.perf_counter()
        rows = self._answer(
            task,
            list(texts),
            options,
            lambda row, encoded: np.asarray(task.postprocess(row, encoded, options), dtype=np.float32),
        )
        if rows.errors:
            place = min(rows.errors)
            error = rows.errors[place]
            raise type(error)(f"input[{place}]: {error.message}", code=error.code, param="input")
        vectors = [rows.answers[place] for place in range(len(texts))]
        return self._prediction(vectors, rows, started)

    def listen(
        self, sound: object, parameters: Mapping[str, Any] | None = None, *, eager: bool = False
    ) -> Iterator[Prediction]:
        """What is said in a recording, stretch by stretch as it is heard: each ``body`` is a ``Transcript``.

        ``sound``: bytes or an open file. ``eager`` hands the first stretch out soon; without it all take less time.
        """
        if not self._task.listens:
            message = f"{self.entry.name} answers {self.entry.task}; ask a model of automatic-speech-recognition."
            raise InvalidInput(message, code="wrong_task", param="model")
        options = self._task.parameters(parameters or {})
        heard = self._task.listen(sound, options, self._sessions, eager=eager)
        started = time.perf_counter()
        for transcript in heard:
            spent = (time.perf_counter() - started) * 1000
            yield Prediction(entry=self.entry, body=transcript, items=1, run_ms=spent)
            started = time.perf_counter()

    def stream(self, item: object, parameters: Mapping[str, Any] | None = None) -> Iterator[Prediction]:
        """The answer to one item bit by bit: each ``body`` is a piece of text. Raises like ``predict``."""
        if not self._task.streams:
            message = f"{self.entry.name} answers {self.entry.task}, which is not streamed: leave stream out."
            raise InvalidInput(message, code="wrong_task", param="stream")
        if isinstance(item, list):
            raise InvalidInput("One text is streamed at a time: send a string.", code="batch_size", param="inputs")
        bits = self._task.stream(item, self._task.parameters(parameters or {}), self._sessions)
        started = time.perf_counter()
        for bit in bits:
            spent = (time.perf_counter() - started) * 1000
            yield Prediction(entry=self.entry, body=bit, items=1, run_ms=spent)
            started = time.perf_counter()

    def warm(self) -> None:
        """Run one item, so that the first user does not wait for memory to be laid out."""
        self._answer(self._task, [self._task.sample], self._task.warming(), lambda row, _: row)

    def _asked(self, inputs: object, parameters: Mapping[str, Any]) -> Task:
        """The task that a request has the form of: the version's own unless it is clearly another's."""
        return next((one for one in self._others if one.asked(inputs, parameters)), self._task)

    def _check_count(self, items: Sequence[object], param: str) -> None:
        if not items:
            raise InvalidInput(f"{param} is an empty list: send at least one item.", code="batch_size", param=param)
        if len(items) > self._max_items:
            message = (
                f"{param} has {len(items)} items; at most {self._max_items} are answered at once. Send several lists."
            )
            raise InvalidInput(message, code="batch_size", param=param)

    def _answer(self, task: Task, items: list[object], options: object, finish: Finish) -> _Rows:
        """Items are prepared, run and finished a window at a time, so that 2,000 pictures are never held together."""
        rows = _Rows()
        window: dict[int, Encoded] = {}
        room = WINDOW * task.batch_cost
        for place, item in enumerate(items):
            try:
                window[place] = encoded = task.preprocess(item, options)
            except ZooError as error:
                rows.errors[place] = error
                continue
            rows.truncated += encoded.truncated
            rows.cost += encoded.cost
            room -= encoded.cost
            if room <= 0:
                self._run(task, window, rows, finish)
                window, room = {}, WINDOW * task.batch_cost
        self._run(task, window, rows, finish)
        return rows

    def _run(self, task: Task, window: Mapping[int, Encoded], rows: _Rows, finish: Finish) -> None:
        """Rows of all items share batches; an item is finished as soon as its last row is answered."""
        units = {(place, part): row for place, item in window.items() for part, row in enumerate(_parts(item))}
        answered: dict[int, dict[int, Any]] = {place: {} for place in window}
        for chosen in _batches(units, task.batch_cost):
            answers = task.run([units[unit] for unit in chosen], self._sessions)
            for (place, part), row in zip(chosen, answers, strict=True):
                if isinstance(row, ZooError):
                    rows.errors[place] = row
                    continue
                answered[place][part] = row
                item, known = window[place], answered[place]
                if len(known) == len(_parts(item)):
                    del answered[place]
                    whole = [known[one] for one in range(len(known))]
                    rows.answers[place] = finish(whole if isinstance(item, Bundle) else whole[0], item)

    def _prediction(self, body: object, rows: _Rows, started: float) -> Prediction:
        return Prediction(
            entry=self.entry,
            body=body,
            items=len(rows.answers) + len(rows.errors),
            failed=len(rows.errors),
            truncated=rows.truncated,
            tokens=rows.cost,
            run_ms=(time.perf_counter() - started) * 1000,
        )


def _parts(item: Encoded) -> Sequence[Encoded]:
    """The rows that an item is run as."""
    return item.rows if isinstance(item, Bundle) else (item,)


def _batches(encoded: Mapping[_Key, Encoded], cost: int) -> Iterator[list[_Key]]:
    """Keys in runs of similar length, each at most ``cost`` with padding counted, or of a single row."""
    batch: list[_Key] = []
    for key in sorted(encoded, key=lambda key: encoded[key].cost):
        if batch and encoded[key].cost * (len(batch) + 1) > cost:
            yield batch
            batch = []
        batch.append(key)
    if batch:
        yield batch


def _described(error: ZooError) -> dict[str, object]:
    return {"error": error.message, "code": error.code}
