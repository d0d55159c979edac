"""A body that answers for every version adapted from it: one session, an adapter for each row, heads outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from weakref import finalize

import numpy as np

from zoo.catalogue.entry import ModelEntry
from zoo.catalogue.slot_table import GRAPH, SlotTable
from zoo.engine.adapter_slots import BARE, AdapterSlots, Slot
from zoo.engine.adapter_weights import RANKS, AdapterWeights
from zoo.engine.head import Head, Readout
from zoo.engine.rank_pool import slot_bytes
from zoo.engine.session import ON_CPU, Array, Placement, Run, Session
from zoo.errors import ArtifactCorrupt

ADAPTER_FOLDER = "adapter"
READOUT = "readout"
"""The option of a manifest that says how a version reads its body."""
SERVED_BY, WHY = "served_by", "why"
"""Options of a manifest: ``body`` or ``merged``, the version's own graph, and the reason for the latter."""


class Body:
    """The graph with slots of one model version, loaded. Safe to call from several threads.

    ``folder`` holds the version's files, whose hashes the caller has checked; ``budget`` is what its adapters may take,
    in bytes. Raises ``ArtifactCorrupt`` where there is no such graph or it cannot be run.
    """

    def __init__(self, folder: Path, *, threads: int, budget: int, placement: Placement = ON_CPU) -> None:
        table = SlotTable.read(folder)
        self._session = Session(folder / GRAPH, threads=threads, placement=placement)
        self.provider = self._session.provider
        self.slots = AdapterSlots(table, budget=budget, apart=self.provider != "cpu")

    def run(self, feeds: Mapping[str, Array], slots: Sequence[Slot], *, session: Session | None = None) -> Array:
        """The body's vectors (rows, …) for one batch, each row with the adapter in its slot; slots have to be held.

        ``session``: another one of the same graph.
        """
        (vectors,) = (session or self._session).run(self.slots.feeds(feeds, slots))
        return vectors


class AdaptedRuns:
    """A version that its body answers for, as a task runs it: see ``zoo.tasks.task.Runs``.

    ``folder`` holds the version's files; raises ``ArtifactCorrupt``, ``InvalidInput`` and ``Unsupported`` (``no_slot``)
    where its body cannot answer for it.
    """

    def __init__(self, body: Body, entry: ModelEntry, folder: Path) -> None:
        self._body, self._key, self._folder = body, entry.reference, folder / ADAPTER_FOLDER
        self.rank = RANKS[-1]
        """The class of its adapter; the highest one until it has been read."""
        self.bytes = slot_bytes(body.slots.table, self.rank)
        """What its adapter takes in memory."""
        finalize(self, body.slots.drop, self._key).atexit = False
        self.head = Head.read(folder / ADAPTER_FOLDER, Readout.of(entry.options.get(READOUT, {"": None})))

    def __call__(self, feeds: Mapping[str, Array], outputs: Sequence[str] | None = None) -> list[Array]:
        """What the version's own graph would answer."""
        return self.beside(feeds, ())

    def beside(self, feeds: Mapping[str, Array], others: Sequence[Slot]) -> list[Array]:
        """The same from a run in which the first row stands once more for each of ``others``, which have to be held."""
        rows = len(next(iter(feeds.values())))
        many = {name: np.concatenate([values, *[values[:1]] * len(others)]) for name, values in feeds.items()}
        with self.hold() as slot:
            vectors = self._body.run(many, [slot] * rows + list(others))
        return [self.head(vectors[:rows], feeds)]

    def hold(self) -> AbstractContextManager[Slot]:
        """The slot of the version's adapter for as long as it is held: see ``AdapterSlots.hold``."""
        return self._body.slots.hold(self._key, self._weights)

    @property
    def resident(self) -> bool:
        """Whether its adapter is in memory at this moment."""
        return self._body.slots.has(self._key)

    def _weights(self) -> AdapterWeights:
        weights = AdapterWeights.read(self._folder, self._body.slots.table)
        self.rank, self.bytes = weights.rank, slot_bytes(self._body.slots.table, weights.rank)
        return weights

    def __getitem__(self, graph: str) -> Run:
        """There is no other graph."""
        raise ArtifactCorrupt(f"The version has no {graph}.onnx: pull or adapt the model again.")


__all__ = ["BARE", "AdaptedRuns", "Body", "Slot"]
