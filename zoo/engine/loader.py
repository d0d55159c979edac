"""Servable models by name: the door that the api knocks at. Loads on first use and bounds what waits for a core."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any, BinaryIO

from zoo.catalogue.entry import ModelEntry
from zoo.catalogue.registry import Registry, load_catalogue
from zoo.catalogue.store import Store
from zoo.engine.admission import Admission
from zoo.engine.answers import AnswerCounts, Answers, Question
from zoo.engine.assembly import Assembly
from zoo.engine.listeners import Listeners
from zoo.engine.memory import MODELS_SHARE, memory_limit
from zoo.engine.predictor import Prediction, Predictor
from zoo.engine.providers import chosen_providers
from zoo.engine.served import Served
from zoo.engine.session import Placement, offered_providers
from zoo.engine.shelf import Held, Memory, Shelf, Wanted
from zoo.engine.threads import granted_threads
from zoo.engine.workers import Workers
from zoo.errors import DeadlineExceeded, InvalidInput, Unavailable, ZooError
from zoo.settings import Settings
from zoo.tasks.decoding.caller import Caller
from zoo.tasks.task import task_module

ADAPTERS_SHARE = 0.25  # of the memory for models: what the adapters beside one body may take
PREPARERS = 2  # threads that decode pictures and tokenise lists
LOADERS = 2  # threads that load models
LISTENERS = 16  # requests at once of tasks that share batches; most of them wait for a place in one


class Loader:
    """Served versions by reference. All methods may be called from any thread."""

    def __init__(self, registry: Registry, store: Store, settings: Settings) -> None:
        self.registry = registry
        self.store = store
        self._settings = settings
        self.cores = granted_threads(settings.threads)
        self._workers = Workers(self.cores)
        self.counts = self._workers.backlog.counts
        self.calm = self._workers.calm
        placement = Placement(chosen_providers(offered_providers(), settings.providers))
        limit = memory_limit()
        budget = settings.memory or int(limit * MODELS_SHARE)
        self._shelf: Shelf[Served] = Shelf(budget, limit=limit, calm=self.calm)
        room = int(budget * ADAPTERS_SHARE)
        self._assembly = Assembly(store, self._workers, placement=placement, adapter_bytes=room)
        self._answers = Answers(settings.answer_cache)
        self._admission = Admission(settings.max_waiting_requests + self.cores)  # as many run
        self._pool = ThreadPoolExecutor(PREPARERS, thread_name_prefix="prepare")
        self._loading = ThreadPoolExecutor(LOADERS, thread_name_prefix="load")
        self._entering: dict[str, Future[Served]] = {}  # by reference, what a thread loads
        self._listeners = Listeners(LISTENERS, self.counts)

    @classmethod
    def of(cls, settings: Settings) -> Loader:
        """Of the models in ``settings.home``."""
        store = Store(settings.home)
        return cls(Registry(store, load_catalogue()), store, settings)

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
        entry = self.registry.resolve(reference)
        if task is not None and task != entry.task:
            message = f"{entry.name} answers {entry.task}, not {task[:64]}."
            raise InvalidInput(message, code="wrong_task", param="task")

        async def work() -> Prediction:
            async with self._at_hand(entry) as served:
                predictor = served.predictor
                if predictor.task.shares:
                    return await self._share(lambda caller: predictor.predict(inputs, parameters, caller), deadline)
                pool = None if predictor.light(inputs, parameters) else self._pool
                return await served.answer(predictor.predicting(inputs, parameters), pool, deadline=deadline)

        return await self._once(Question(entry, "predict", inputs, parameters), work, deadline)

    async def embed(self, reference: str, texts: list[str], *, deadline: float = math.inf) -> Prediction:
        """Vectors for texts (``body``: float32 arrays in the order sent); raises like ``predict``."""
        entry = self.registry.resolve(reference)

        async def work() -> Prediction:
            async with self._at_hand(entry) as served:
                light = len(texts) == 1 and served.predictor.light(texts[0], {})
                pool = None if light else self._pool
                return await served.answer(served.predictor.embedding(texts), pool, deadline=deadline)

        return await self._once(Question(entry, "embed", texts, {}), work, deadline)

    def check_room(self, reference: str | None, deadline: float) -> None:
        """Raise ``Unavailable`` where one row more would not be answered in time, before anybody reads the request.

        Of any model for None. What cannot be resolved or is not in memory is not this method's business.
        """
        if self._workers.backlog.has_room(deadline) and self._listeners.has_room(deadline):
            return  # mostly so; which model it is, files would have to tell
        if reference is not None:
            try:
                served = self._shelf.here(self.registry.resolve(reference).reference)
            except ZooError:
                return
            if served is None:
                return
            if served.predictor.task.shares:
                self._listeners.check_room(deadline)
                return
        self._workers.backlog.check_room(deadline)

    async def _once(
        self, question: Question, work: Callable[[], Coroutine[Any, Any, Prediction]], deadline: float
    ) -> Prediction:
        """Equal questions at once are worked on once, each caller for as long as its own time lasts.

        Where the first one's time was too short, for all of a list or some of it, the next one works on it.
        """
        own = False

        async def admitted() -> Prediction:
            nonlocal own
            own = True
            with self._admission.admitted():
                return await work()

        try:
            async with asyncio.timeout(None if deadline == math.inf else deadline - time.monotonic()):
                while True:
                    try:
                        found = await self._answers.answer(question, admitted)
                        if own or not found.late:
                            return found
                    except (DeadlineExceeded, Unavailable):
                        if own:
                            raise
        except TimeoutError:
            raise DeadlineExceeded("There was no answer within the time that was given. Ask again later.") from None

    async def listen(
        self, reference: str, sound: BinaryIO, parameters: Mapping[str, Any], *, eager: bool = False
    ) -> AsyncIterator[Prediction]:
        """What is said in a recording, as ``Predictor.listen`` hands it out. Raises like ``predict``.

        Between two stretches others have their turn. ``sound`` is closed as soon as nothing reads it any more.
        """
        step: Future[Prediction | None] | None = None
        try:
            entry = self.registry.resolve(reference)
            with self._admission.admitted():
                heard = self._told(entry, lambda predictor: predictor.listen(sound, parameters, eager=eager))
                while True:
                    step = self._listeners.submit(lambda: next(heard, None))
                    prediction = await asyncio.wrap_future(step)
                    if prediction is None:
                        return
                    yield prediction
        finally:
            if step is None:
                sound.close()
            else:  # a caller that leaves does not end the step that runs
                step.add_done_callback(lambda _: sound.close())

    async def stream(
        self, reference: str, item: object, parameters: Mapping[str, Any], *, deadline: float = math.inf
    ) -> AsyncIterator[Prediction]:
        """The answer to one item bit by bit, as ``Predictor.stream`` hands it out. Raises like ``predict``.

        ``deadline``: where its turn would come too late for it, it is refused; once begun it goes on.
        """
        entry = self.registry.resolve(reference)
        self._listeners.check_room(deadline)
        with self._admission.admitted():
            bits = self._told(entry, lambda predictor: predictor.stream(item, parameters))
            while (bit := await asyncio.wrap_future(self._listeners.submit(lambda: next(bits, None)))) is not None:
                yield bit

    def _told(self, entry: ModelEntry, tell: Callable[[Predictor], Iterator[Prediction]]) -> Iterator[Prediction]:
        with self._lent(entry) as served:
            yield from tell(served.predictor)

    def load(self, reference: str) -> Predictor:
        """The predictor of a version, loaded if need be; ``ModelNotFound``, ``ArtifactCorrupt``, ``Unsupported``."""
        return self._shelf.get(self._wanted(self.registry.resolve(reference))).predictor

    def preload(self, reference: str) -> bool:
        """As ``load``, but nothing leaves for it: False where it does not fit beside what is loaded."""
        wanted = self._wanted(self.registry.resolve(reference))
        if not self._shelf.fits(wanted):
            return False
        self._shelf.get(wanted)
        return True

    def check(self, reference: str) -> None:
        """Raise unless the model can be loaded: reads and compares all its files, but takes no memory for it."""
        entry = self.registry.resolve(reference)
        if self._shelf.here(entry.reference) is None:
            task_module(entry.task)
            self.store.verify(entry)

    def unload(self, reference: str) -> None:
        """Forget a version, or all versions of a name; requests that run go on."""
        self._shelf.drop(lambda key: reference in (key, key.partition("@")[0]))

    def loaded(self) -> list[Held]:
        """What is in memory now, by reference."""
        return self._shelf.held()

    def memory(self) -> Memory:
        """The budget of the models, and what loading and unloading them did to this process."""
        return Memory(self._shelf.budget, self._shelf.taken(), self._shelf.changes(), self._shelf.counts())

    def answers(self) -> AnswerCounts:
        """How many were answered without a run of their own."""
        return self._answers.counts()

    def waiting(self) -> int:
        """Requests admitted and not yet answered."""
        return self._admission.waiting

    def rows_waiting(self) -> int:
        """Rows in the queues of all bodies."""
        return sum(scheduler.waiting() for scheduler in {served.scheduler for served in self._shelf.things()})

    def running(self, entry: ModelEntry) -> Served | None:
        """A version with what runs it; None while it is not loaded."""
        return self._shelf.here(entry.reference)

    def close(self) -> None:
        """Let what runs finish, start no more; what waits is answered with ``Unavailable``."""
        self._workers.close()
        for pool in (self._pool, self._loading, self._listeners.pool):
            pool.shutdown(wait=True, cancel_futures=True)

    def _lent(self, entry: ModelEntry) -> AbstractContextManager[Served]:
        """A version, loaded if need be, which stays in memory within the block."""
        return self._shelf.lent(self._wanted(entry))

    @asynccontextmanager
    async def _at_hand(self, entry: ModelEntry) -> AsyncIterator[Served]:
        """``_lent``, for the event loop: a thread waits for what has to be loaded."""
        lent, key = self._lent(entry), entry.reference
        while (here := self._shelf.here(key, stamp=entry)) is None and (first := self._entering.get(key)) is not None:
            await asyncio.wait([asyncio.wrap_future(first)])  # not in a thread: others are left to load other models
        if here is not None:
            served = lent.__enter__()
        else:
            entering = self._entering[key] = self._loading.submit(lent.__enter__)
            entering.add_done_callback(lambda _: self._entering.pop(key, None))
            try:
                served = await asyncio.wrap_future(entering)
            except BaseException:  # a caller that leaves does not end the loading, and does not keep what was loaded
                entering.add_done_callback(lambda done: _give_back(done, lent))
                raise
        try:
            yield served
        finally:
            lent.__exit__(None, None, None)

    def _wanted(self, entry: ModelEntry) -> Wanted[Served]:
        return self._assembly.wanted(entry, max_items=self._settings.max_items)

    async def _share(self, work: Callable[[Caller], Prediction], deadline: float) -> Prediction:
        """Of tasks that share batches by themselves, in threads most of which wait for a place in one."""
        self._listeners.check_room(deadline)
        admitted, caller = time.perf_counter(), Caller()

        def timed() -> Prediction:
            queued = time.perf_counter() - admitted
            return replace(work(caller), queue_ms=queued * 1000, batches=tuple(caller.batches))

        # A client that leaves cancels the await; work that has not started is dropped, other ends between two runs.
        try:
            return await self._listeners.run(timed)
        finally:
            caller.leave()


def _give_back(entered: Future[Served], lent: AbstractContextManager[Served]) -> None:
    if not entered.cancelled() and entered.exception() is None:
        lent.__exit__(None, None, None)
