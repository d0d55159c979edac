"""A body that answers for every version adapted from it: one session, an adapter for each row, heads outside."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from zoo.catalogue.entry import ModelEntry
from zoo.catalogue.slot_table import GRAPH, SlotTable
from zoo.engine.adapter_slots import BARE, AdapterSlots, Slot
from zoo.engine.adapter_weights import AdapterWeights
from zoo.engine.head import Head, Readout
from zoo.engine.session import Array, Run, Session
from zoo.errors import ArtifactCorrupt

ADAPTER_FOLDER = "adapter"
READOUT = "readout"
"""The option of a manifest that says how a version reads its body."""


class Body:
    """The graph with slots of one model version, loaded. Safe to call from several threads.

    ``folder`` holds the version's files, whose hashes the caller has checked; ``budget`` is what its adapters may take,
    in bytes. Raises ``ArtifactCorrupt`` where there is no such graph or it cannot be run.
    """

    def __init__(self, folder: Path, *, threads: int, budget: int) -> None:
        self.slots = AdapterSlots(SlotTable.read(folder), budget=budget)
        self._session = Session(folder / GRAPH, threads=threads)

    def run(self, feeds: Mapping[str, Array], slots: Sequence[Slot]) -> Array:
        """The body's vectors (rows, …) for one batch, each row with the adapter in its slot; slots have to be held."""
        (vectors,) = self._session.run(self.slots.feeds(feeds, slots))
        return vectors


class AdaptedRuns:
    """A version that its body answers for, as a task runs it: see ``zoo.tasks.task.Runs``.

    ``folder`` holds the version's files; raises ``ArtifactCorrupt``, ``InvalidInput`` and ``Unsupported`` (``no_slot``)
    where its body cannot answer for it. ``beside`` are slots, held by the caller, that every row is also run with.
    """

    def __init__(self, body: Body, entry: ModelEntry, folder: Path, *, beside: Sequence[Slot] = ()) -> None:
        self._body, self._key, self._beside = body, entry.reference, tuple(beside)
        self._weights: Callable[[], AdapterWeights] = partial(
            AdapterWeights.read, folder / ADAPTER_FOLDER, body.slots.table
        )
        self._head = Head.read(folder / ADAPTER_FOLDER, Readout.of(entry.options.get(READOUT, {"": None})))

    def __call__(self, feeds: Mapping[str, Array], outputs: Sequence[str] | None = None) -> list[Array]:
        """What the version's own graph would answer."""
        rows = len(next(iter(feeds.values())))
        many = {name: np.concatenate([values] * (1 + len(self._beside))) for name, values in feeds.items()}
        with self._body.slots.hold(self._key, self._weights) as slot:
            slots = [one for one in (slot, *self._beside) for _ in range(rows)]
            vectors = self._body.run(many, slots)
        return [self._head(vectors[:rows], feeds)]

    def __getitem__(self, graph: str) -> Run:
        """There is no other graph."""
        raise ArtifactCorrupt(f"The version has no {graph}.onnx: pull or adapt the model again.")


__all__ = ["BARE", "AdaptedRuns", "Body", "Slot"]
