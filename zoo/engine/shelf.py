"""Loaded things by key within a budget of memory: loaded once, lent out, measured, and let go when others need room."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from zoo.engine.memory import Load, resident_bytes, trim
from zoo.engine.residency import Resident, leavers, taken
from zoo.errors import Unavailable

T = TypeVar("T")
MB = 1_000_000
log = logging.getLogger("zoo.engine.shelf")


@dataclass(frozen=True)
class Shared:
    """What several things hold together, loaded with the first and gone with the last of them.

    ``size`` tells what it takes at least; it is asked when one of them is loaded.
    """

    key: str
    size: Callable[[], int]


@dataclass(frozen=True)
class Wanted(Generic[T]):
    """What is asked for: ``make`` loads it, ``size`` is what it takes at least (bytes of its files).

    One that was loaded under another ``stamp`` is stale and is replaced. ``shared`` comes beside ``size``.
    """

    key: str
    stamp: object
    size: int
    make: Callable[[], T]
    shared: Shared = Shared("", int)


@dataclass(frozen=True)
class Held:
    """Something on the shelf: the bytes by which the process grew for it, at least its files, and when (Unix time).

    What it shares is not among them.
    """

    key: str
    bytes: int
    loaded_at: float


@dataclass(frozen=True)
class Change:
    """Resident memory of the process around the last load or unload of a key, in bytes."""

    key: str
    event: str
    before: int
    after: int


@dataclass(frozen=True)
class Memory:
    """Bytes: ``budget`` for all models, ``taken`` by them; ``counts``: by reference and event, ``load``, ``unload``."""

    budget: int
    taken: int
    changes: list[Change]
    counts: dict[tuple[str, str], int]


@dataclass(eq=False)
class _Place(Generic[T]):
    """``lock`` is held while the thing is loaded, so that concurrent first requests load it once."""

    key: str
    lock: threading.Lock = field(default_factory=threading.Lock)
    thing: T | None = None
    stamp: object = None
    bytes: int = 0  # when last loaded; kept after it has left, to make room before it comes back
    users: int = 0
    reserved: int = 0  # for what is being loaded
    asked: float = 0.0
    loaded_at: float = 0.0
    shared: str = ""


class Shelf(Generic[T]):
    """All methods may be called from any thread; nothing waits for the loading of something else.

    ``budget``: bytes that all things together may take. One that is larger is loaded all the same, alone; one that is
    larger than ``limit``, which would end the process, is refused with ``Unavailable`` (``memory_limit``). While
    ``calm`` is not set the process grows by other things too, and what is loaded counts as large as its files.
    """

    def __init__(
        self,
        budget: int,
        *,
        limit: int,
        resident: Callable[[], int] = resident_bytes,
        calm: threading.Event | None = None,
    ) -> None:
        self.budget = budget
        self._calm = calm
        self._limit = limit
        self._resident = resident
        self._lock = threading.Lock()
        self._places: dict[str, _Place[T]] = {}
        self._shared: dict[str, int] = {"": 0}  # bytes, kept as those of places are
        self._loads: set[Load] = set()
        self._changes: dict[tuple[str, str], Change] = {}
        self._counts: Counter[tuple[str, str]] = Counter()
        self._over = False  # what is in use could not leave

    def get(self, wanted: Wanted[T]) -> T:
        """The thing, loaded if need be. It may leave the shelf at any time: hold on to it, or borrow it."""
        with self.lent(wanted) as thing:
            return thing

    @contextmanager
    def lent(self, wanted: Wanted[T]) -> Iterator[T]:
        """The thing, which does not leave within the block. Raises what its ``make`` raises, or ``Unavailable``."""
        with self._lock:
            place = self._places.setdefault(wanted.key, _Place(wanted.key))
            place.users += 1
            place.asked = time.monotonic()
        try:
            with place.lock:
                thing = place.thing
                if thing is None or place.stamp != wanted.stamp:
                    thing = self._load(place, wanted)
            yield thing
        finally:
            with self._lock:
                place.users -= 1
                over = self._over
            if over:
                self._make_room()

    def drop(self, chosen: Callable[[str], bool]) -> None:
        """Forget all that is chosen by key; who uses it goes on with it."""
        with self._lock:
            gone = _taken([self._places.pop(key) for key in list(self._places) if chosen(key)])
        self._let_go(gone)

    def here(self, key: str, *, stamp: object = None) -> T | None:
        """The thing if it is loaded, under this stamp if one is given. It may leave at any time."""
        with self._lock:
            place = self._places.get(key)
            return None if place is None or stamp not in (None, place.stamp) else place.thing

    def things(self) -> list[T]:
        """Everything that is loaded."""
        with self._lock:
            return [place.thing for place in self._places.values() if place.thing is not None]

    def held(self) -> list[Held]:
        """What is on the shelf now."""
        with self._lock:
            return [Held(place.key, place.bytes, place.loaded_at) for place in self._loaded()]

    def taken(self) -> int:
        """Bytes of all that is loaded or being loaded."""
        with self._lock:
            return taken(self._resident_of(place) for place in self._present())

    def fits(self, wanted: Wanted[T]) -> bool:
        """Whether nothing has to leave for it."""
        shared, least = wanted.shared.key, wanted.shared.size()
        with self._lock:
            own = Resident(
                wanted.key, wanted.size, 0.0, shared=shared, shared_bytes=max(least, self._shared.get(shared, 0))
            )
            others = [self._resident_of(place) for place in self._present() if place.key != wanted.key]
        return taken([own, *others]) <= self.budget

    def changes(self) -> list[Change]:
        """The last load and the last unload of each key."""
        with self._lock:
            return list(self._changes.values())

    def counts(self) -> dict[tuple[str, str], int]:
        """How often each key was loaded and unloaded."""
        with self._lock:
            return dict(self._counts)

    def _loaded(self) -> list[_Place[T]]:
        return [place for place in self._places.values() if place.thing is not None]

    def _present(self) -> list[_Place[T]]:
        return [place for place in self._places.values() if place.reserved or place.thing is not None]

    def _resident_of(self, place: _Place[T]) -> Resident:
        size = place.reserved or place.bytes
        return Resident(place.key, size, place.asked, place.users, place.shared, self._shared[place.shared])

    def _load(self, place: _Place[T], wanted: Wanted[T]) -> T:
        expected, shared, least = max(place.bytes, wanted.size), wanted.shared.key, wanted.shared.size()
        with self._lock:
            beside = max(least, self._shared.get(shared, 0))
        if expected + beside > self._limit:
            raise Unavailable(
                f"{wanted.key} takes {(expected + beside) // MB} MB of memory, and this service may use"
                f" {self._limit // MB} MB in all: give it more, or ask for a smaller model.",
                code="memory_limit",
                param="model",
            )
        with self._lock:
            first = not any(other.shared == shared for other in self._present() if other is not place)
            place.thing, place.reserved = None, max(1, expected)
            place.shared, self._shared[shared] = shared, beside
        self._make_room()
        try:
            with self._measured() as load:
                thing = wanted.make()
        finally:
            place.reserved = 0
        own = load.growth
        if shared and first:
            beside = max(least, own - wanted.size)
            own -= beside
        size = max(wanted.size, own)
        with self._lock:
            if first:
                self._shared[shared] = beside
            place.thing, place.stamp, place.bytes, place.loaded_at = thing, wanted.stamp, size, time.time()
        self._note(wanted.key, "load", load.before, load.after)
        if size + beside > self.budget:
            fields = {"model": wanted.key, "bytes": size + beside, "budget": self.budget}
            log.warning("a model alone takes more than the budget: raise ZOO_MEMORY", extra=fields)
        self._make_room()
        return thing

    @contextmanager
    def _measured(self) -> Iterator[Load]:
        load = Load(self._resident(), alone=self._calm is None or self._calm.is_set())
        with self._lock:
            self._loads.add(load)
            if len(self._loads) > 1:
                for one in self._loads:
                    one.alone = False
        try:
            yield load
        finally:
            trim()
            load.after = self._resident()
            with self._lock:
                self._loads.remove(load)

    def _make_room(self) -> None:
        """Let go what is more than the budget, what is being loaded counted."""
        with self._lock:
            present = [self._resident_of(place) for place in self._present()]
            leaving = leavers(present, budget=self.budget)
            gone = _taken([self._places[key] for key in leaving])
            self._over = taken(one for one in present if one.key not in leaving) > self.budget
        self._let_go(gone)

    def _let_go(self, gone: list[tuple[str, T]]) -> None:
        while gone:
            before = self._resident()
            key, thing = gone.pop()
            del thing  # the last reference, unless somebody uses it still
            trim()
            self._note(key, "unload", before, self._resident())

    def _note(self, key: str, event: str, before: int, after: int) -> None:
        with self._lock:
            self._changes[key, event] = Change(key, event, before, after)
            self._counts[key, event] += 1
        log.info(event, extra={"model": key, "resident_before": before, "resident_after": after})


def _taken(places: Iterable[_Place[T]]) -> list[tuple[str, T]]:
    """Keys and things of places, which are empty then: the caller has the shelf's only references."""
    taken = []
    for place in places:
        if place.thing is not None:
            taken.append((place.key, place.thing))
            place.thing = None
    return taken
