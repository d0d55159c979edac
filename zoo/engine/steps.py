"""A request on its way: items to rows of a graph, and the answers to rows back to answers to items."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from zoo.errors import ZooError
from zoo.tasks.task import Bundle, Encoded, Task


@dataclass
class Outcome:
    """What became of each item of a request: answered or failed, by its place; and what all of them took."""

    answers: dict[int, Any] = field(default_factory=dict)
    errors: dict[int, ZooError] = field(default_factory=dict)
    truncated: int = 0
    cost: int = 0


@dataclass(frozen=True)
class Row:
    """One row to be run: what ``preprocess`` made of an item, or a part of it, and the task that runs it."""

    task: Task
    encoded: Encoded
    cost: int


Found = TypeVar("Found")
Finish = Callable[[Any, Encoded], Any]
Steps = Generator[list[Row], list[Any], Found]
"""A request on its way: hands out rows to be run, which may be none, is sent an answer (or ``ZooError``) for each."""


def steps_of(task: Task, items: list[object], options: object, finish: Finish) -> Steps[Outcome]:
    """Items are prepared, run and finished a window at a time, so that 2,000 pictures are never held together.

    Of items that fail nothing is run: after so many of them no row is handed out, so that whoever asks can see whether
    anybody still waits. Returns what became of the items.
    """
    outcome = Outcome()
    window: dict[int, Encoded] = {}
    most = task.window * task.batch_cost
    room = most
    for place, item in enumerate(items):
        try:
            window[place] = encoded = task.preprocess(item, options)
        except ZooError as error:
            outcome.errors[place] = error
            if len(outcome.errors) % task.window == 0:
                yield []
            continue
        outcome.truncated += encoded.truncated
        outcome.cost += encoded.cost
        room -= encoded.cost
        if room <= 0:
            yield from _window(task, window, outcome, finish)
            window, room = {}, most
    yield from _window(task, window, outcome, finish)
    return outcome


def _window(task: Task, window: Mapping[int, Encoded], outcome: Outcome, finish: Finish) -> Steps[None]:
    """Rows of all items are run together; an item is finished when all of its rows are answered."""
    if not window:
        return
    answers = iter((yield [Row(task, part, part.cost) for item in window.values() for part in _parts(item)]))
    for place, item in window.items():
        found = [next(answers) for _ in _parts(item)]
        error = next((one for one in found if isinstance(one, ZooError)), None)
        if error is not None:
            outcome.errors[place] = error
            continue
        outcome.answers[place] = finish(found if isinstance(item, Bundle) else found[0], item)


def _parts(item: Encoded) -> Sequence[Encoded]:
    """The rows that an item is run as."""
    return item.rows if isinstance(item, Bundle) else (item,)
