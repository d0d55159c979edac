"""Who waits for an answer, and the graphs as they are run for it: work that nobody waits for any more ends."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from zoo.errors import DeadlineExceeded
from zoo.tasks.task import MOST_BATCHES, Array, Batch, Run, Runs


class Caller:
    """One that waits until it leaves; safe to use from any thread. ``batches`` are those that its items were in."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self._gone = threading.Event()

    @property
    def gone(self) -> bool:
        """Whether nobody waits any more."""
        return self._gone.is_set()

    def told(self, batch: Batch) -> None:
        """Some of its items have been answered together, perhaps with those of others."""
        if len(self.batches) < MOST_BATCHES:
            self.batches.append(batch)

    def leave(self) -> None:
        """What is done for it may end: items that no batch has taken are dropped."""
        self._gone.set()

    def check(self) -> None:
        """Raise ``DeadlineExceeded``, which nobody hears, once it is gone."""
        if self.gone:
            raise DeadlineExceeded("Nobody waits for this answer any more. Ask again.")


@dataclass(frozen=True)
class CallersRuns:
    """The graphs of a version, and for whom they are run."""

    runs: Runs
    caller: Caller

    def __call__(self, feeds: Mapping[str, Array], outputs: Sequence[str] | None = None) -> list[Array]:
        """The main graph; it may be run for others too."""
        return self.runs(feeds, outputs)

    def __getitem__(self, graph: str) -> Run:
        return self.runs[graph]


def caller_of(runs: Runs) -> Caller:
    """For whom graphs are run; one that stays, where nobody said so."""
    return runs.caller if isinstance(runs, CallersRuns) else Caller()
