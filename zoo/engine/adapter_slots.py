"""The adapters of one body in memory: who holds one knows its slot, and nothing is put into a slot that is held.

Adapters come when they are first asked for and leave, the one that was used longest ago first, where others need their
room; they come back on their next request. Rows of any adapters share a run.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from zoo.catalogue.slot_table import ADAPTER, SlotLinear, SlotTable
from zoo.catalogue.tensors import FloatArray
from zoo.engine.adapter_weights import AdapterWeights
from zoo.engine.rank_pool import RankPool, slot_bytes
from zoo.engine.session import Array
from zoo.errors import Unavailable

PATIENCE = 10.0  # seconds that an adapter waits for a slot while others hold all


class Slot(NamedTuple):
    """Where an adapter is: its class of ranks and the place in that one's stacks."""

    rank: int
    place: int


BARE = Slot(0, 0)
"""For rows that the body is to answer as it is."""


@dataclass(eq=False)
class _Resident:
    """An adapter that is there or about to be; ``loading`` lets one of those that ask for it first read it."""

    loading: threading.Lock = field(default_factory=threading.Lock)
    slot: Slot | None = None
    bytes: int = 0
    holders: int = 0
    used_at: float = 0.0


class AdapterSlots:
    """``budget``: bytes that adapters may take together; one always finds room. All methods are safe in any thread.

    ``apart``: runs get the adapters of their batch alone. Otherwise they get all stacks, which costs nothing where runs
    read them in place, on the CPU; a device would be sent all that is reserved each time.
    """

    def __init__(self, table: SlotTable, *, budget: int, patience: float = PATIENCE, apart: bool = False) -> None:
        self.table = table
        self._apart = apart
        self._budget, self._patience = budget, patience
        self._pools: dict[int, RankPool] = {}
        self._residents: dict[str, _Resident] = {}
        self._bytes = 0
        self._changed = threading.Condition()
        self._nothing = {name: np.zeros((1, *shape), dtype=np.float32) for name, shape in table.stacks(1).items()}

    @contextmanager
    def hold(self, key: str, weights: Callable[[], AdapterWeights]) -> Iterator[Slot]:
        """The slot of an adapter, which stays its own until the block is left; ``weights`` reads it if it is not there.

        Raises what ``weights`` raises, and ``Unavailable`` where every slot is held for longer than ``patience``
        seconds. Whoever holds an adapter must not wait for another one.
        """
        with self._changed:
            resident = self._residents.setdefault(key, _Resident())
            resident.holders += 1
        try:
            with resident.loading:
                slot = resident.slot or self._load(resident, weights())
            yield slot
        finally:
            with self._changed:
                resident.holders -= 1
                resident.used_at = time.monotonic()
                if resident.slot is None and not resident.holders and self._residents.get(key) is resident:
                    del self._residents[key]
                self._changed.notify_all()

    def has(self, key: str) -> bool:
        """Whether an adapter is there at this moment."""
        resident = self._residents.get(key)
        return resident is not None and resident.slot is not None

    def drop(self, key: str) -> bool:
        """Forget an adapter and give its memory back; False where it is held or not there."""
        with self._changed:
            resident = self._residents.get(key)
            if resident is None or resident.holders or resident.slot is None:
                return False
            self._evict(key)
            self._changed.notify_all()
            return True

    def residents(self) -> dict[str, int]:
        """Adapters that are there, and the bytes of each."""
        with self._changed:
            return {key: one.bytes for key, one in self._residents.items() if one.slot is not None}

    def feeds(self, feeds: Mapping[str, Array], slots: Sequence[Slot]) -> dict[str, Array]:
        """What the body's graph takes: a batch's inputs, ``slots`` of its rows, and the stacks that these are in.

        Every slot has to be held until the run is over.
        """
        if any(len(values) != len(slots) for values in feeds.values()):
            raise ValueError("a batch has as many slots as rows")
        ranks = {slot.rank for slot in slots} - {0}
        if not ranks:
            return {**feeds, **self._nothing, ADAPTER: np.zeros(1, dtype=np.int64)}
        if len(ranks) > 1 or self._apart:
            return {**feeds, **self._together(slots)}
        places = np.array([slot.place for slot in slots], dtype=np.int64)
        if (places == places[0]).all():
            places = places[:1]  # one product for all rows instead of one for each
        return {**feeds, **self._pools[ranks.pop()].stacks, ADAPTER: places}

    def _together(self, slots: Sequence[Slot]) -> dict[str, Array]:
        """Stacks of this batch alone: its adapters, all padded to the highest rank among them."""
        chosen = sorted(set(slots))
        rank = max(slot.rank for slot in chosen)
        shapes = self.table.stacks(rank)
        made: dict[str, FloatArray] = {
            name: np.zeros((len(chosen), *shape), dtype=np.float32) for name, shape in shapes.items()
        }
        for at, slot in enumerate(chosen):
            if slot.rank:
                stacks = self._pools[slot.rank].stacks
                for linear in self.table.linears.values():
                    _pad(linear, slot, stacks, {name: values[at] for name, values in _of(linear, made)})
        at_place = {slot: at for at, slot in enumerate(chosen)}
        return {**made, ADAPTER: np.array([at_place[slot] for slot in slots], dtype=np.int64)}

    def _load(self, resident: _Resident, weights: AdapterWeights) -> Slot:
        place = self._room(resident, weights.rank)
        self._pools[weights.rank].write(place, weights.slots)
        resident.slot = Slot(weights.rank, place)
        return resident.slot

    def _room(self, resident: _Resident, rank: int) -> int:
        """A free place, for which others leave if need be."""
        need = slot_bytes(self.table, rank)
        deadline = time.monotonic() + self._patience
        with self._changed:
            if rank not in self._pools:
                self._pools[rank] = RankPool(self.table, rank, places=max(1, self._budget // need))
            while True:
                if not self._bytes or self._bytes + need <= self._budget:
                    place = self._pools[rank].take()
                    if place is not None:
                        self._bytes += need
                        resident.bytes = need
                        return place
                idle = [key for key, one in self._residents.items() if one.slot is not None and not one.holders]
                if idle:
                    self._evict(min(idle, key=lambda key: self._residents[key].used_at))
                elif not self._changed.wait(deadline - time.monotonic()) and time.monotonic() >= deadline:
                    message = "All adapters in memory are in use and there is no room for another; try again shortly."
                    raise Unavailable(message, code="overloaded", retry_after=1.0)

    def _evict(self, key: str) -> None:
        resident = self._residents.pop(key)
        assert resident.slot is not None
        self._pools[resident.slot.rank].give_back(resident.slot.place)
        self._bytes -= resident.bytes


def _of(linear: SlotLinear, stacks: Mapping[str, FloatArray]) -> list[tuple[str, FloatArray]]:
    return [(name, stacks[name]) for name in (linear.down, linear.up)]


def _pad(linear: SlotLinear, slot: Slot, stacks: Mapping[str, FloatArray], into: Mapping[str, FloatArray]) -> None:
    """Copy one layer's matrices into a slot of a higher rank."""
    down, up = into[linear.down], into[linear.up]
    first, wider = linear.part * slot.rank, linear.part * len(up)
    down[:, wider : wider + slot.rank] = stacks[linear.down][slot.place, :, first : first + slot.rank]
    up[: slot.rank] = stacks[linear.up][slot.place]
