"""Servable models by name: the door that the api knocks at. Loads on first use and bounds what waits for a core."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

from zoo.catalogue.entry import ModelEntry
from zoo.catalogue.registry import Registry
from zoo.catalogue.store import Store
from zoo.engine.predictor import Prediction, Predictor
from zoo.engine.threads import granted_threads
from zoo.errors import InvalidInput, Unavailable
from zoo.settings import Settings
from zoo.tasks.task import is_task, task_class, task_module

# Two requests at once on one session keep the cores busy while one of them tokenises or pads.
WORKERS = 2
LISTENERS = 16  # requests at once of tasks that share batches; most of them wait for a place in one


@dataclass(frozen=True)
class LoadedModel:
    """A version in memory: its reference, the bytes of its files and when it was loaded (Unix seconds)."""

    reference: str
    bytes: int
    loaded_at: float


@dataclass
class _Slot:
    """Guards the loading of one version, so that concurrent first requests load it once."""

    lock: threading.Lock
    predictor: Predictor | None = None
    loaded_at: float = 0.0
    used_at: float = 0.0


class Loader:
    """Predictors by reference. All methods may be called from any thread."""

    def __init__(self, registry: Registry, store: Store, settings: Settings) -> None:
        self._registry = registry
        self._store = store
        self._settings = settings
        self._threads = granted_threads(settings.threads)
        self._slots: dict[str, _Slot] = {}
        self._lock = threading.Lock()
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
        return await self._admit(lambda: self._loaded(entry).predict(inputs, parameters), self._threads_for(entry))

    async def embed(self, reference: str, texts: list[str]) -> Prediction:
        """Vectors for texts (``body``: float32 arrays in the order sent); raises like ``predict``."""
        entry = self._registry.resolve(reference)
        return await self._admit(lambda: self._loaded(entry).embed(texts), self._pool)

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

    def _written(self, entry: ModelEntry, item: object, parameters: Mapping[str, Any]) -> Iterator[Prediction]:
        yield from self._loaded(entry).stream(item, parameters)

    def _heard(
        self, entry: ModelEntry, sound: BinaryIO, parameters: Mapping[str, Any], eager: bool
    ) -> Iterator[Prediction]:
        yield from self._loaded(entry).listen(sound, parameters, eager=eager)

    def _threads_for(self, entry: ModelEntry) -> ThreadPoolExecutor:
        return self._listeners if is_task(entry.task) and task_class(entry.task).shares else self._pool

    def load(self, reference: str) -> Predictor:
        """The predictor of a version, loaded if need be; ``ModelNotFound``, ``ArtifactCorrupt``, ``Unsupported``."""
        return self._loaded(self._registry.resolve(reference))

    def check(self, reference: str) -> None:
        """Raise unless the model can be loaded: reads and compares all its files, but takes no memory for it."""
        entry = self._registry.resolve(reference)
        with self._lock:
            slot = self._slots.get(entry.reference)
        if slot is None or slot.predictor is None:
            task_module(entry.task)
            self._store.verify(entry)

    def serves(self, entry: ModelEntry) -> bool:
        """Whether this release has the version's task."""
        return is_task(entry.task)

    def unload(self, name: str) -> None:
        """Forget every loaded version of a name; requests that run go on."""
        with self._lock:
            for reference in [key for key in self._slots if key.partition("@")[0] == name]:
                del self._slots[reference]

    def loaded(self) -> list[LoadedModel]:
        """What is in memory now."""
        with self._lock:
            slots = list(self._slots.values())
        return [
            LoadedModel(slot.predictor.entry.reference, slot.predictor.entry.size, slot.loaded_at)
            for slot in slots
            if slot.predictor is not None
        ]

    def waiting(self) -> int:
        """Requests admitted and not yet answered."""
        return self._waiting

    def close(self) -> None:
        """Let running requests finish, start no more."""
        for pool in (self._pool, self._listeners):
            pool.shutdown(wait=True, cancel_futures=True)

    def _loaded(self, entry: ModelEntry) -> Predictor:
        with self._lock:
            slot = self._slots.setdefault(entry.reference, _Slot(threading.Lock()))
            slot.used_at = time.monotonic()
        with slot.lock:
            if slot.predictor is None or slot.predictor.entry != entry:
                self._store.verify(entry)
                predictor = Predictor(
                    entry,
                    self._store.folder(entry.name, entry.version),
                    threads=self._threads,
                    max_items=self._settings.max_items,
                )
                predictor.warm()
                slot.predictor, slot.loaded_at = predictor, time.time()
                self._forget_least_used()
            return slot.predictor

    def _forget_least_used(self) -> None:
        """Keep memory bounded; who is forgotten comes back on its next request."""
        with self._lock:
            loaded = [key for key, slot in self._slots.items() if slot.predictor is not None]
            loaded.sort(key=lambda key: self._slots[key].used_at)
            for reference in loaded[: -self._settings.max_loaded_models]:
                del self._slots[reference]

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
