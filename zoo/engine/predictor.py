"""One servable model version: its task and its session, and the way from a request's inputs to the answer."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zoo.catalogue.entry import ModelEntry
from zoo.engine.session import ON_CPU, Placement, Sessions
from zoo.engine.steps import Found, Outcome, Row, Steps, steps_of
from zoo.errors import DeadlineExceeded, InvalidInput, ZooError
from zoo.tasks.decoding.caller import Caller, CallersRuns
from zoo.tasks.ready_made.answers import runs_of
from zoo.tasks.task import ROWS_ALONE, Array, Batch, Encoded, Runs, Task, groups, load_task, task_class

MODEL_FILE = "model.onnx"
USUAL = 16  # words of a short text


@dataclass(frozen=True)
class Prediction:
    """The answer to one request and what it took. ``body`` is JSON-ready, in the shape that the clients parse.

    ``late``: of the items that failed, some had no time left.
    """

    entry: ModelEntry
    body: object
    items: int
    failed: int = 0
    late: bool = False
    truncated: int = 0
    tokens: int = 0
    queue_ms: float = 0.0
    run_ms: float = 0.0
    batches: tuple[Batch, ...] = ()


class Predictor:
    """Answers requests for one model version; safe to call from several threads.

    ``folder`` holds the version's files, whose hashes the caller has checked. Raises ``ArtifactCorrupt`` when they
    cannot be loaded. Whoever proves a version before it is published (the gate) uses this very class. ``runs`` is what
    runs its rows where that is not the version's own graph.
    """

    def __init__(
        self,
        entry: ModelEntry,
        folder: Path,
        *,
        threads: int,
        max_items: int = 2048,
        placement: Placement = ON_CPU,
        runs: Runs | None = None,
    ) -> None:
        self.entry = entry
        self._max_items = max_items
        self._task = load_task(entry, folder)
        others = [kind for name in self._task.also if (kind := task_class(name)).fits(entry)]
        self._others = [kind(entry, folder) for kind in others]
        self._folder, self._placement = folder, placement
        self.provider = "cpu"
        if runs is None:
            sessions = Sessions(folder, main=MODEL_FILE, threads=threads, placement=placement)
            self.provider, runs = sessions.provider, runs_of(sessions, entry.options)
        self._whole = self._single = runs
        self._alone = bool(entry.options.get(ROWS_ALONE, False))

    def predict(
        self, inputs: object, parameters: Mapping[str, Any] | None = None, caller: Caller | None = None
    ) -> Prediction:
        """Answer one item or a list of them; in a list, a bad item is answered with its error and harms no other.

        Raises ``InvalidInput`` or ``TooLarge`` when nothing could be answered, ``DeadlineExceeded`` between two runs
        once ``caller`` has left.
        """
        return self._complete(self.predicting(inputs, parameters or {}), caller)

    def predicting(self, inputs: object, parameters: Mapping[str, Any]) -> Steps[Prediction]:
        """``predict``, for a caller that runs the rows itself: hands them out window by window and is sent answers."""
        task = self._asked(inputs, parameters)
        options = task.parameters(parameters)
        items, many = task.items(inputs)
        self._check_count(items, "inputs")
        started = time.perf_counter()
        rows = yield from steps_of(task, items, options, lambda row, encoded: task.postprocess(row, encoded, options))
        if rows.errors and (not many or len(rows.errors) == len(items)):
            raise rows.errors[min(rows.errors)]
        results: list[object] = [
            _described(rows.errors[place]) if place in rows.errors else rows.answers[place]
            for place in range(len(items))
        ]
        return self._prediction(task.respond(results, many), rows, started)

    def rows(self, inputs: Sequence[object], parameters: Mapping[str, Any] | None = None) -> list[Array]:
        """The model's bare answer to each item (logits, pooled vectors). Raises on a bad item."""
        options = self._task.parameters(parameters or {})
        rows = self._complete(steps_of(self._task, list(inputs), options, lambda row, _: row))
        if rows.errors:
            raise rows.errors[min(rows.errors)]
        return [rows.answers[place] for place in range(len(inputs))]

    def answers(self, inputs: Sequence[object]) -> list[tuple[Any, object]]:
        """Of each item the model's bare answer, and the body that a client gets for it: the gate compares both."""
        options = self._task.parameters({})

        def finish(row: Any, encoded: Encoded) -> tuple[Any, object]:
            return row, self._task.respond([self._task.postprocess(row, encoded, options)], False)

        rows = self._complete(steps_of(self._task, list(inputs), options, finish))
        if rows.errors:
            raise rows.errors[min(rows.errors)]
        return [rows.answers[place] for place in range(len(inputs))]

    def embed(self, texts: list[str]) -> Prediction:
        """Vectors for ``/v1/embeddings``: ``body`` is a list of float32 arrays. All or nothing; names the bad item."""
        return self._complete(self.embedding(texts))

    def embedding(self, texts: list[str]) -> Steps[Prediction]:
        """``embed``, for a caller that runs the rows itself."""
        task = next((one for one in (self._task, *self._others) if one.embeds), None)
        if task is None:
            message = f"{self.entry.name} answers {self.entry.task}; ask a model that gives vectors, such as minilm."
            raise InvalidInput(message, code="wrong_task", param="model")
        self._check_count(texts, "input")
        options = task.parameters({})
        started = time.perf_counter()
        rows = yield from steps_of(
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
        heard = self._task.listen(sound, options, self._whole, eager=eager)
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
        encoded = self._task.preprocess(item, self._task.parameters(parameters or {}))
        cut = int(encoded.truncated)
        started = time.perf_counter()
        for bit in self._task.stream(encoded, self._whole):
            spent = (time.perf_counter() - started) * 1000
            yield Prediction(entry=self.entry, body=bit, items=1, truncated=cut, run_ms=spent)
            started = time.perf_counter()

    @property
    def task(self) -> Task:
        """The version's own."""
        return self._task

    @property
    def tasks(self) -> tuple[Task, ...]:
        """All that its requests may be of."""
        return (self._task, *self._others)

    def light(self, inputs: object, parameters: Mapping[str, Any]) -> bool:
        """As ``Task.light``, of the task that the request has the form of."""
        return self._asked(inputs, parameters).light(inputs, parameters)

    def warm(self) -> None:
        """Run one item, so that the first user does not wait for memory to be laid out."""
        rows = self._complete(steps_of(self._task, [self._task.sample], self._task.warming(), lambda row, _: row))
        if rows.errors:
            raise rows.errors[0]

    def split(self) -> None:
        """From now on hold the graph a second time, for runs of one thread of which there are several at once."""
        sessions = Sessions(self._folder, main=MODEL_FILE, threads=1, placement=self._placement)
        self._single = runs_of(sessions, self.entry.options)

    def unite(self) -> None:
        """Give the first one up: every run has one thread."""
        self._whole = self._single

    def sample(self) -> Row:
        """A row of the task's sample, of a text some sixteen times of it: one word gains nothing from more threads."""
        item = self._task.sample
        if isinstance(item, str) and self._task.modality == "text":
            item = " ".join([item] * USUAL)
        steps = steps_of(self._task, [item], self._task.warming(), lambda row, _: row)
        return next(steps)[0]

    def run(self, rows: Sequence[Row], *, whole: bool = True) -> list[Any]:
        """One answer for each row, run together with the threads of this predictor, or where not ``whole`` with one."""
        return self._run(rows, self._whole if whole else self._single)

    def _run(self, rows: Sequence[Row], runs: Runs) -> list[Any]:
        answers: list[Any] = [None] * len(rows)
        apart = [[place] for place in range(len(rows))] if self._alone else groups(rows, lambda row: row.task)
        for places in apart:
            found = rows[places[0]].task.run([rows[place].encoded for place in places], runs)
            for place, answer in zip(places, found, strict=True):
                answers[place] = answer
        return answers

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

    def _complete(self, steps: Steps[Found], caller: Caller | None = None) -> Found:
        """Everything in the calling thread, with the threads of this predictor; ends where ``caller`` has left."""
        runs = self._whole if caller is None else CallersRuns(self._whole, caller)
        answers: list[Any] | None = None
        while True:
            try:
                rows = next(steps) if answers is None else steps.send(answers)
            except StopIteration as end:
                found: Found = end.value
                return found
            answers = [None] * len(rows)
            if caller is not None:
                caller.check()
            for places in _batches(rows, self._task.batch_cost):
                for place, answer in zip(places, self._run([rows[place] for place in places], runs), strict=True):
                    answers[place] = answer

    def _prediction(self, body: object, rows: Outcome, started: float) -> Prediction:
        return Prediction(
            entry=self.entry,
            body=body,
            items=len(rows.answers) + len(rows.errors),
            failed=len(rows.errors),
            late=any(isinstance(error, DeadlineExceeded) for error in rows.errors.values()),
            truncated=rows.truncated,
            tokens=rows.cost,
            run_ms=(time.perf_counter() - started) * 1000,
        )


def _batches(rows: Sequence[Row], cost: int) -> Iterator[list[int]]:
    """Places in runs of similar length, each at most ``cost`` with padding counted, or of a single row."""
    batch: list[int] = []
    for place in sorted(range(len(rows)), key=lambda place: rows[place].cost):
        if batch and rows[place].cost * (len(batch) + 1) > cost:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def _described(error: ZooError) -> dict[str, object]:
    return {"error": error.message, "code": error.code}
