"""Servable models by name: the door that the api knocks at. Loads on first use and bounds what waits for a core."""

from __future__ import annotations

import asyncio
import math
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
from zoo.engine.row_counts import RowCounts
from zoo.engine.served import Served, Threads
from zoo.engine.steps import Row, Steps
from zoo.engine.threads import granted_threads
from zoo.engine.ticket import Batch
from zoo.engine.workers import Workers
from zoo.errors import DeadlineExceeded, InvalidInput, Unavailable
from zoo.settings import Settings
from zoo.tasks.task import is_task, task_module

PREPARERS = 2  # threads that decode pictures, tokenise lists and load models
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
    served: Served | None = None
    loaded_at: float = 0.0
    used_at: float = 0.0


class Loader:
    """Predictors by reference. All methods may be called from any thread."""

    def __init__(self, registry: Registry, store: Store, settings: Settings) -> None:
        self._registry = registry
        self._store = store
        self._settings = settings
        self.cores = granted_threads(settings.threads)
        self._slots: dict[str, _Slot] = {}
        self._lock = threading.Lock()
        self._waiting = 0
        self._seconds = 0.1  # moving average of how long a request is in here: what another one would take now
        self._workers = Workers(self.cores)
        self.counts = RowCounts()
        self._pool = ThreadPoolExecutor(PREPARERS, thread_name_prefix="prepare")
        self._listeners = ThreadPoolExecutor(LISTENERS, thread_name_prefix="listen")

    async def predict(
        self,
        reference: str,
        inputs: object,
        parameters: Mapping[str, Any],
        *,
        task: str | None = None,
        deadline: float = math.inf,
    ) -> Prediction:
        """Answer a request, before ``deadline`` (``time.monotonic``) or not at all.

        ``task`` refuses a model of another one. Raises what ``load`` and ``Predictor`` raise, ``Unavailable`` where
        the server is full, ``DeadlineExceeded`` where it was not in time.
        """
        entry = self._registry.resolve(reference)
        if task is not None and task != entry.task:
            message = f"{entry.name} answers {entry.task}, not {task[:64]}."
            raise InvalidInput(message, code="wrong_task", param="task")
        with self._admitted():
            served = await self._at_hand(entry)
            if served.predictor.task.shares:
                return await self._share(lambda: served.predictor.predict(inputs, parameters), deadline)
            light = served.predictor.task.light(inputs)
            return await self._drive(served, served.predictor.predicting(inputs, parameters), deadline, light=light)

    async def embed(self, reference: str, texts: list[str], *, deadline: float = math.inf) -> Prediction:
        """Vectors for texts (``body``: float32 arrays in the order sent); raises like ``predict``."""
        entry = self._registry.resolve(reference)
        with self._admitted():
            served = await self._at_hand(entry)
            light = len(texts) == 1 and served.predictor.task.light(texts[0])
            return await self._drive(served, served.predictor.embedding(texts), deadline, light=light)

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
        yield from self._loaded(entry).predictor.stream(item, parameters)

    def _heard(
        self, entry: ModelEntry, sound: BinaryIO, parameters: Mapping[str, Any], eager: bool
    ) -> Iterator[Prediction]:
        yield from self._loaded(entry).predictor.listen(sound, parameters, eager=eager)

    def load(self, reference: str) -> Predictor:
        """The predictor of a version, loaded if need be; ``ModelNotFound``, ``ArtifactCorrupt``, ``Unsupported``."""
        return self._loaded(self._registry.resolve(reference)).predictor

    def check(self, reference: str) -> None:
        """Raise unless the model can be loaded: reads and compares all its files, but takes no memory for it."""
        entry = self._registry.resolve(reference)
        with self._lock:
            slot = self._slots.get(entry.reference)
        if slot is None or slot.served is None:
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
            LoadedModel(slot.served.predictor.entry.reference, slot.served.predictor.entry.size, slot.loaded_at)
            for slot in slots
            if slot.served is not None
        ]

    def waiting(self) -> int:
        """Requests admitted and not yet answered."""
        return self._waiting

    def rows_waiting(self) -> int:
        """Rows in the queues of all bodies."""
        with self._lock:
            served = [slot.served for slot in self._slots.values() if slot.served is not None]
        return sum(one.scheduler.waiting() for one in served)

    def threads_of(self, entry: ModelEntry) -> Threads | None:
        """How a version is run; None while it is not loaded."""
        with self._lock:
            slot = self._slots.get(entry.reference)
        return None if slot is None or slot.served is None else slot.served.threads

    def close(self) -> None:
        """Let running requests finish, start no more."""
        with self._lock:
            served = [slot.served for slot in self._slots.values() if slot.served is not None]
        for one in served:
            one.scheduler.close()
        self._workers.close()
        for pool in (self._pool, self._listeners):
            pool.shutdown(wait=True, cancel_futures=True)

    async def _at_hand(self, entry: ModelEntry) -> Served:
        slot = self._slots.get(entry.reference)
        if slot is not None and slot.served is not None and slot.served.predictor.entry == entry:
            slot.used_at = time.monotonic()
            return slot.served
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._loaded, entry)

    def _loaded(self, entry: ModelEntry) -> Served:
        with self._lock:
            slot = self._slots.setdefault(entry.reference, _Slot(threading.Lock()))
            slot.used_at = time.monotonic()
        with slot.lock:
            if slot.served is None or slot.served.predictor.entry != entry:
                self._store.verify(entry)
                predictor = Predictor(
                    entry,
                    self._store.folder(entry.name, entry.version),
                    threads=self.cores,
                    max_items=self._settings.max_items,
                )
                predictor.warm()
                slot.served, slot.loaded_at = Served(predictor, self._workers, self.counts), time.time()
                self._forget_least_used()
            return slot.served

    def _forget_least_used(self) -> None:
        """Keep memory bounded; who is forgotten comes back on its next request."""
        with self._lock:
            loaded = [key for key, slot in self._slots.items() if slot.served is not None]
            loaded.sort(key=lambda key: self._slots[key].used_at)
            for reference in loaded[: -self._settings.max_loaded_models]:
                del self._slots[reference]

    @contextmanager
    def _admitted(self) -> Iterator[None]:
        if self._waiting >= self._settings.max_waiting_requests + self._workers.count:  # as many run
            message = "The server is full; try again shortly."
            raise Unavailable(message, code="overloaded", retry_after=max(1.0, self._seconds))
        self._waiting += 1
        admitted = time.perf_counter()
        try:
            yield
        finally:
            self._waiting -= 1
            self._seconds += 0.1 * (time.perf_counter() - admitted - self._seconds)

    async def _share(self, work: Callable[[], Prediction], deadline: float) -> Prediction:
        """Of tasks that share batches by themselves, in threads most of which wait for a place in one."""
        admitted = time.perf_counter()

        def timed() -> Prediction:
            queued = time.perf_counter() - admitted
            return replace(work(), queue_ms=queued * 1000)

        # A client that leaves cancels the await; work that has not started is dropped by the pool.
        running = asyncio.get_running_loop().run_in_executor(self._listeners, timed)
        left = None if deadline == math.inf else deadline - time.monotonic()
        try:
            return await asyncio.wait_for(running, left)
        except TimeoutError:
            raise DeadlineExceeded("There was no answer within the time that was given. Ask again later.") from None

    async def _drive(self, served: Served, steps: Steps[Prediction], deadline: float, *, light: bool) -> Prediction:
        """A request to its end: it is prepared and finished in a thread, or at once where that is ``light``."""
        started, queued = time.perf_counter(), 0.0
        answers: list[Any] | None = None
        batches: list[Batch] = []
        loop = asyncio.get_running_loop()
        while True:
            if light:
                step = _advance(steps, answers)
            else:
                step = await loop.run_in_executor(self._pool, _advance, steps, answers)
            if isinstance(step, Prediction):
                spent = (time.perf_counter() - started) * 1000
                return replace(step, queue_ms=queued, run_ms=spent - queued, batches=tuple(batches))
            ticket = served.submit(step, deadline=deadline)
            answers = await asyncio.wrap_future(ticket.future)
            batches += ticket.batches
            queued += max((batch.queue_ms for batch in ticket.batches), default=0.0)


def _advance(steps: Steps[Prediction], answers: list[Any] | None) -> list[Row] | Prediction:
    """The next rows to be run, or the end: ``StopIteration`` cannot pass through a future."""
    try:
        return next(steps) if answers is None else steps.send(answers)
    except StopIteration as end:
        prediction: Prediction = end.value
        return prediction
