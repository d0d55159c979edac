"""A body in memory that answers for all versions adapted from it: rows of any of them share its runs."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary, WeakMethod

from zoo.catalogue.slot_table import GRAPH
from zoo.engine.adapter_slots import Slot
from zoo.engine.body import AdaptedRuns, Body
from zoo.engine.predictor import Predictor
from zoo.engine.scheduler import Run, Scheduler
from zoo.engine.session import Placement, Session
from zoo.engine.steps import Row
from zoo.engine.threads import Threads
from zoo.engine.workers import Workers
from zoo.errors import RunFailed
from zoo.tasks.task import Task, groups

# Bytes of adapters that a run may have copied to the highest rank among them: 170 MB took 144 ms, and a run more takes
# some milliseconds.
PADDED = 8_000_000


class SharedBody:
    """One session with slots behind one scheduler; safe to use from any thread.

    ``folder`` holds the files of the body's version, whose hashes the caller has checked. ``adapter_bytes``: what the
    adapters may take. Raises ``ArtifactCorrupt`` where the version has no graph with slots or it cannot be run.
    """

    def __init__(self, folder: Path, workers: Workers, *, placement: Placement, adapter_bytes: int) -> None:
        self.body = Body(folder, threads=1, budget=adapter_bytes, placement=placement)
        self.workers = workers
        self._whole = Session(folder / GRAPH, threads=workers.count, placement=placement) if workers.count > 1 else None
        self._versions: WeakKeyDictionary[Task, AdaptedRuns] = WeakKeyDictionary()
        self._holding = threading.Lock()
        self._room = adapter_bytes // workers.count  # so much is there for each worker's run, whatever the others hold
        self._lock = threading.Lock()
        self._queue: tuple[Scheduler, Threads] | None = None

    @property
    def provider(self) -> str:
        """The hardware that its graph runs on."""
        return self.body.provider

    def admit(self, predictor: Predictor, runs: AdaptedRuns) -> tuple[Scheduler, Threads]:
        """Answer rows of a version from now on, for as long as its tasks are held by somebody.

        Where they wait, and how they are run: alike for all versions, since the first one was measured.
        """
        for task in predictor.tasks:
            self._versions[task] = runs
        with self._lock:
            if self._queue is None:
                budget = predictor.task.batch_cost
                self._queue = self.workers.queue(_held_weakly(self.run), predictor.sample(), budget=budget)
                if self._queue[1].alone == 1:
                    self._whole = None
            return self._queue

    def run(self, rows: Sequence[Row], whole: bool) -> list[Any]:
        """One answer for each row; those that are alike run together, whichever versions they are meant for."""
        answers: list[Any] = [None] * len(rows)
        for places in groups(rows, lambda row: row.task.alike(row.encoded)):
            for chosen in self._divided(rows, places):
                for place, answer in zip(chosen, self._together([rows[one] for one in chosen], whole), strict=True):
                    answers[place] = answer
        return answers

    def _divided(self, rows: Sequence[Row], places: Sequence[int]) -> list[list[int]]:
        """Places in parts that need no more adapters at once than there is room for, and little padding of ranks."""
        there = {self._versions[rows[place].task] for place in places}
        if len(there) * max(runs.bytes for runs in there) <= PADDED:
            return self._fitting(rows, places)
        ranks = groups(places, lambda place: self._versions[rows[place].task].rank)
        return [part for some in ranks for part in self._fitting(rows, [places[one] for one in some])]

    def _fitting(self, rows: Sequence[Row], places: Sequence[int]) -> list[list[int]]:
        parts: list[list[int]] = [[]]
        there: set[AdaptedRuns] = set()
        taken = 0
        for place in places:
            runs = self._versions[rows[place].task]
            if runs not in there:
                if there and taken + runs.bytes > self._room:
                    parts.append([])
                    there, taken = set(), 0
                there.add(runs)
                taken += runs.bytes
            parts[-1].append(place)
        return parts

    def _together(self, rows: Sequence[Row], whole: bool) -> list[Any]:
        feeds = rows[0].task.collate([row.encoded for row in rows])
        versions = [self._versions[row.task] for row in rows]
        for version in versions:
            if not version.resident:  # it is read before others have to wait for this batch's slots
                with version.hold():
                    pass
        with ExitStack() as held:
            slots: dict[AdaptedRuns, Slot] = {}
            # One batch at a time asks: two that each had half of what they need would wait for ever.
            with self._holding:
                for version in versions:
                    if version not in slots:
                        slots[version] = held.enter_context(version.hold())
            session = self._whole if whole else None
            vectors = self.body.run(feeds, [slots[version] for version in versions], session=session)
        answers: list[Any] = [None] * len(rows)
        for places in groups(rows, lambda row: row.task):
            task, version = rows[places[0]].task, versions[places[0]]
            own = {name: values[places] for name, values in feeds.items()}
            read = task.read([version.head(vectors[places], own)], [rows[place].encoded for place in places])
            for place, answer in zip(places, read, strict=True):
                answers[place] = answer
        return answers


def _held_weakly(method: Run) -> Run:
    """For the queue that a body itself keeps: a body leaves with its last version, not when garbage is collected."""
    held = WeakMethod(method)

    def run(rows: Sequence[Row], whole: bool) -> Sequence[Any]:
        if (there := held()) is None:  # rows that somebody waits for keep their version, and so the body
            raise RunFailed("The model has left memory. Ask again.")
        return there(rows, whole)

    return run
