"""Servable models by name: the door that the api knocks at. Loads on first use and bounds what waits for a core."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

from zoo.catalogue.entry import ModelEntry
from zoo.catalogue.registry import Registry
from zoo.catalogue.store import Store
from zoo.engine.answers import AnswerCounts, Answers, Question
from zoo.engine.memory import MODELS_SHARE, memory_limit
from zoo.engine.predictor import Prediction, Predictor
from zoo.engine.providers import chosen_providers
from zoo.engine.session import Placement, offered_providers
from zoo.engine.shelf import Change, Shelf, Wanted
from zoo.engine.threads import granted_threads
from zoo.errors import InvalidInput, Unavailable
from zoo.settings import Settings
from zoo.tasks.task import is_task, task_class, task_module

# Two requests at once on one session keep the cores busy while one of them tokenises or pads.
WORKERS = 2
LISTENERS = 16  # requests at once of tasks that share batches; most of them wait for a place in one


@dataclass(frozen=True)
class LoadedModel:
    """A version in memory: its reference, the bytes that it takes there and when it was loaded (Unix seconds).

    The bytes are those by which the process grew when it was loaded, at least those of its files.
    """

    reference: str
    bytes: int
    loaded_at: float


@dataclass(frozen=True)
class Memory:
    """``budget``: bytes for all models; ``counts``: by reference and event, ``load`` or ``unload``."""

    budget: int
    changes: list[Change]
    counts: dict[tuple[str, str], int]


class Loader:
    """Predictors by reference. All methods may be called from any thread."""

    def __init__(self, registry: Registry, store: Store, settings: Settings) -> None:
        self._registry = registry
        self._store = store
        self._settings = settings
        self._threads = granted_threads(settings.threads)
        # What lies in the store is published whole and never written to again.
        self._placement = Placement(chosen_providers(offered_providers(), settings.providers), mapped=True)
        limit = memory_limit()
        self._shelf: Shelf[Predictor] = Shelf(settings.memory or int(limit * MODELS_SHARE), limit=limit)
        self._answers = Answers(settings.answer_cache)
        self._waiting = 0
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="predict")
        self._listeners = ThreadPoolExecutor(LISTENERS, thread_name_prefix="listen")
        self._run_seconds = 0.05  # moving average of a request's run, for an honest Retry-After

    async def predict(
        self, reference: str, inputs: object, parameters: Mapping[str, Any], *, task: str | None = None
    ) -> Prediction:
        """Answer a request; ``task`` refuses a model of another one. Raises what ``load`` and ``Predictor`` raise."""
        entry = self._registry.resolve(reference)
        if task is not None and task != entry.task:
            message = f"{entry.name} answers {entry.task}, not {task[:64]}."
            raise InvalidInput(message, code="wrong_task", param="task")
        return await self._answers.answer(
            Question(entry, "predict", inputs, parameters),
            lambda: self._admit(lambda: self._predicted(entry, inputs, parameters), self._threads_for(entry)),
        )

    async def embed(self, reference: str, texts: list[str]) -> Prediction:
        """Vectors for texts (``body``: float32 arrays in the order sent); raises like ``predict``."""
        entry = self._registry.resolve(reference)
        return await self._answers.answer(
            Question(entry, "embed", texts, {}), lambda: self._admit(lambda: self._embedded(entry, texts), self._pool)
        )

    async def listen(
        self, reference: str, sound: BinaryIO, parameters: Mapping[str, Any], *, eager: bool = False
    ) -> AsyncIterator[Prediction]:
        """What is said in a recording, as ``Predictor.listen`` hands it out. Raises like ``predict``.

        Between two stretches others have their turn. ``sound`` is closed as soon as nothing reads it any more.
        """
        step: Future[Prediction | None] | None = None
        try:
            entry = self._registry.resolve(reference)
            with self._admitted():
                heard = self._heard(entry, sound, parameters, eager)
                while True:
                    step = self._listeners.submit(next, heard, None)
                    prediction = await asyncio.wrap_future(step)
                    if prediction is None:
                        return
                    yield prediction
        finally:
            if step is None:
                sound.close()
            else:  # a caller that leaves does not end the step that runs
                step.add_done_callback(lambda _: sound.close())

    async def stream(self, reference: str, item: object, parameters: Mapping[str, Any]) -> AsyncIterator[Prediction]:
        """The answer to one item bit by bit, as ``Predictor.stream`` hands it out. Raises like ``predict``."""
        entry = self._registry.resolve(reference)
        with self._admitted():
            bits = self._written(entry, item, parameters)
            while (bit := await asyncio.wrap_future(self._listeners.submit(next, bits, None))) is not None:
                yield bit

    def _predicted(self, entry: ModelEntry, inputs: object, parameters: Mapping[str, Any]) -> Prediction:
        with self._lent(entry) as predictor:
            return predictor.predict(inputs, parameters)

    def _embedded(self, entry: ModelEntry, texts: list[str]) -> Prediction:
        with self._lent(entry) as predictor:
            return predictor.embed(texts)

    def _written(self, entry: ModelEntry, item: object, parameters: Mapping[str, Any]) -> Iterator[Prediction]:
        with self._lent(entry) as predictor:
            yield from predictor.stream(item, parameters)

    def _heard(
        self, entry: ModelEntry, sound: BinaryIO, parameters: Mapping[str, Any], eager: bool
    ) -> Iterator[Prediction]:
        with self._lent(entry) as predictor:
            yield from predictor.listen(sound, parameters, eager=eager)

    def _threads_for(self, entry: ModelEntry) -> ThreadPoolExecutor:
        return self._listeners if is_task(entry.task) and task_class(entry.task).shares else self._pool

    def load(self, reference: str) -> Predictor:
        """The predictor of a version, loaded if need be; ``ModelNotFound``, ``ArtifactCorrupt``, ``Unsupported``."""
        return self._shelf.get(self._wanted(self._registry.resolve(reference)))

    def preload(self, reference: str) -> bool:
        """As ``load``, but nothing leaves for it: False where it does not fit beside what is loaded."""
        entry = self._registry.resolve(reference)
        taken = sum(held.bytes for held in self._shelf.held() if held.key != entry.reference)
        if taken + entry.size > self._shelf.budget:
            return False
        self._shelf.get(self._wanted(entry))
        return True

    def check(self, reference: str) -> None:
        """Raise unless the model can be loaded: reads and compares all its files, but takes no memory for it."""
        entry = self._registry.resolve(reference)
        if not self._shelf.holds(entry.reference):
            task_module(entry.task)
            self._store.verify(entry)

    def serves(self, entry: ModelEntry) -> bool:
        """Whether this release has the version's task."""
        return is_task(entry.task)

    def unload(self, name: str) -> None:
        """Forget every loaded version of a name; requests that run go on."""
        self._shelf.drop(lambda key: key.partition("@")[0] == name)

    def loaded(self) -> list[LoadedModel]:
        """What is in memory now."""
        return [LoadedModel(held.key, held.bytes, held.loaded_at) for held in self._shelf.held()]

    def memory(self) -> Memory:
        """The budget of the models, and what loading and unloading them did to this process."""
        return Memory(self._shelf.budget, self._shelf.changes(), self._shelf.counts())

    def answers(self) -> AnswerCounts:
        """How many were answered without a run of their own."""
        return self._answers.counts()

    def waiting(self) -> int:
        """Requests admitted and not yet answered."""
        return self._waiting

    def close(self) -> None:
        """Let running requests finish, start no more."""
        for pool in (self._pool, self._listeners):
            pool.shutdown(wait=True, cancel_futures=True)

    def _lent(self, entry: ModelEntry) -> AbstractContextManager[Predictor]:
        """The predictor of a version, loaded if need be, which stays in memory within the block."""
        return self._shelf.lent(self._wanted(entry))

    def _wanted(self, entry: ModelEntry) -> Wanted[Predictor]:
        def make() -> Predictor:
            self._store.verify(entry)
            predictor = Predictor(
                entry,
                self._store.folder(entry.name, entry.version),
                threads=self._threads,
                max_items=self._settings.max_items,
                placement=self._placement,
            )
            predictor.warm()
            return predictor

        return Wanted(entry.reference, entry, entry.size, make)

    @contextmanager
    def _admitted(self) -> Iterator[None]:
        if self._waiting >= self._settings.max_waiting_requests + WORKERS:
            backlog = self._waiting / WORKERS * self._run_seconds
            raise Unavailable(
                "The server is full; try again shortly.", code="overloaded", retry_after=max(1.0, backlog)
            )
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    async def _admit(self, work: Callable[[], Prediction], pool: ThreadPoolExecutor) -> Prediction:
        admitted = time.perf_counter()

        def timed() -> Prediction:
            queued = time.perf_counter() - admitted
            started = time.perf_counter()
            prediction = work()
            self._run_seconds += 0.1 * (time.perf_counter() - started - self._run_seconds)
            return replace(prediction, queue_ms=queued * 1000)

        with self._admitted():
            # A client that leaves cancels the await; work that has not started is dropped by the pool.
            return await asyncio.get_running_loop().run_in_executor(pool, timed)
