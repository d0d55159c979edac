"""The gate's second half: whether a version's body can answer for it, among rows of other adapters too.

Compared with torch are the bare outputs and the answers that a client would get, as for the version's own graph. Where
they differ, or the weights do not allow it, the version is served by its own graph, and the manifest says why.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from adapters.training.gate import AT_ONCE, Expected, Parity, refusing, tolerance_of
from zoo.catalogue.entry import ModelEntry
from zoo.catalogue.slot_table import TABLE, SlotTable
from zoo.engine.adapter_slots import BARE, Slot
from zoo.engine.adapter_weights import RANKS, AdapterWeights
from zoo.engine.body import ADAPTER_FOLDER, READOUT, SERVED_BY, WHY, AdaptedRuns, Body
from zoo.engine.head import Readout
from zoo.errors import ZooError
from zoo.tasks.task import Array, Bundle, Run, Runs, Task, load_task

SPREAD = 0.05  # of the random numbers in the adapters that share the batches
BUDGET = 2**30  # bytes; three adapters of the highest rank take less of any body


@dataclass(frozen=True)
class ServedBy:
    """What the manifest says of how a version is served; ``parity``: the body's answers beside torch's."""

    options: dict[str, Any]
    parity: Parity | None = None

    @property
    def told(self) -> str:
        """For the job's events."""
        if self.parity is None:
            return f"Served by its own graph: {self.options[WHY]}"
        return f"Served by its body, which differs from torch by at most {self.parity.max_abs_difference:.2e}"

    def of(self, entry: ModelEntry) -> ModelEntry:
        """The entry with it."""
        parity = entry.parity | ({"slots": self.parity.as_dict()} if self.parity else {})
        return entry.model_copy(update={"options": {**entry.options, **self.options}, "parity": parity})


def choose(
    base: Path, staged: Path, draft: ModelEntry, readout: Readout | None, expected: Expected, *, threads: int
) -> ServedBy:
    """The body in the folder ``base`` if it answers as torch does, else the version's own graph with the reason."""
    if readout is None:
        return by_own_graph("versions of this task read more of their body than its last vectors")
    if not (base / TABLE).is_file():
        return by_own_graph("its base has no graph with slots for adapters")
    options = {SERVED_BY: "body", READOUT: readout.as_dict()}
    entry = draft.model_copy(update={"options": {**draft.options, **options}})
    try:
        AdapterWeights.read(staged / ADAPTER_FOLDER, SlotTable.read(base))
        with refusing("The body cannot be run with the adapter."):
            parity = _prove(Body(base, threads=threads, budget=BUDGET), staged, entry, expected)
    except ZooError as error:
        return by_own_graph(error.message.removesuffix(" Nothing was published."))
    return ServedBy(options, parity)


def by_own_graph(why: str) -> ServedBy:
    """Not by the body, and why."""
    return ServedBy({SERVED_BY: "merged", WHY: why})


def _prove(body: Body, folder: Path, entry: ModelEntry, expected: Expected) -> Parity:
    """Some rows alone, all among others; raises ``ParityFailed``."""
    task, runs = load_task(entry, folder), AdaptedRuns(body, entry, folder)
    every = range(len(expected.requests))
    with contextlib.ExitStack() as held:
        rank = AdapterWeights.read(folder / ADAPTER_FOLDER, body.slots.table).rank
        other = next(one for one in RANKS if one != rank)
        random = [held.enter_context(_random(body, one, seed)) for seed, one in enumerate((rank, rank, other))]
        among = _Among(runs, [(random[0], BARE), (random[1], random[2])])
        return _compare(task, runs, expected, every[:AT_ONCE]) | _compare(task, among, expected, every)


def _compare(task: Task, runs: Runs, expected: Expected, places: Sequence[int]) -> Parity:
    worst, agreed, options = 0.0, 0, task.parameters({})
    for place in places:
        item = task.preprocess(expected.requests[place], options)
        rows = task.run(list(item.rows) if isinstance(item, Bundle) else [item], runs)
        answer = rows if isinstance(item, Bundle) else rows[0]
        body = task.respond([task.postprocess(answer, item, options)], False)
        apart, same = expected.compare(place, answer, body)
        worst, agreed = max(worst, apart), agreed + same
    tolerance = tolerance_of(expected.largest)
    return Parity(len(places), worst, argmax_agreement=agreed / len(places), tolerance=tolerance).require()


class _Among:
    """A version's runs in which its first row is also run with other slots, those of ``companies`` in turn."""

    def __init__(self, runs: AdaptedRuns, companies: Sequence[tuple[Slot, ...]]) -> None:
        self._runs, self._companies = runs, itertools.cycle(companies)

    def __call__(self, feeds: Mapping[str, Array], outputs: Sequence[str] | None = None) -> list[Array]:
        return self._runs.beside(feeds, next(self._companies))

    def __getitem__(self, graph: str) -> Run:
        return self._runs[graph]


@contextlib.contextmanager
def _random(body: Body, rank: int, seed: int) -> Iterator[Slot]:
    """An adapter on all layers."""
    draw = np.random.default_rng(seed)
    shapes = body.slots.table.stacks(rank)
    made = {name: SPREAD * draw.standard_normal(shape, dtype=np.float32) for name, shape in shapes.items()}
    with body.slots.hold(f"random {seed}", lambda: AdapterWeights(rank, made)) as slot:
        yield slot
