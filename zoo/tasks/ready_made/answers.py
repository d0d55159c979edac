"""How what a ready-made graph answers becomes what its task reads: names, and the forms of optimum's exports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from zoo.tasks.task import Array, Run, Runs

OPTION = "answers"  # of a manifest: says that the main graph is ready-made


class Answers(BaseModel):
    """``outputs`` of the main graph that are asked for, in order. What is made of them is one array:

    the only one; several side by side on a new last axis; with ``places``, the input of that name (batch, places), the
    rows of the second axis that it numbers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    outputs: tuple[str, ...] = Field(min_length=1)
    places: str = ""

    def of(self, run: Run, feeds: Mapping[str, Array]) -> Array:
        """Run a graph; halves become float32, as tasks reckon with it."""
        found = [np.asarray(one, dtype=np.float32) for one in run(feeds, self.outputs)]
        answer = found[0] if len(found) == 1 else np.stack(found, axis=-1)
        if self.places:
            chosen = feeds[self.places]
            answer = answer[np.arange(len(answer))[:, None], chosen]
        return answer


class ReadyMadeRuns:
    """The graphs of a version of which the main one was exported elsewhere, as its task wants to run them."""

    def __init__(self, runs: Runs, answers: Answers) -> None:
        self._runs = runs
        self._answers = answers

    def __call__(self, feeds: Mapping[str, Array], outputs: Sequence[str] | None = None) -> list[Array]:
        """The one answer of the main graph."""
        return [self._answers.of(self._runs, feeds)]

    def __getitem__(self, graph: str) -> Run:
        return self._runs[graph]


def runs_of(runs: Runs, options: Mapping[str, object]) -> Runs:
    """``runs``, behind what a manifest's options say of a ready-made graph if it is one; raises ``ValueError``."""
    form = options.get(OPTION)
    return runs if form is None else ReadyMadeRuns(runs, Answers.model_validate(form))
