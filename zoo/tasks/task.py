"""The contract of a task: what a request means, from JSON to arrays and back. One task, one file, found by its name."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from zoo.catalogue.entry import ModelEntry
from zoo.errors import InvalidInput, Unsupported

LIGHT = 2000  # characters, which take MiniLM's tokenizer a millisecond
Array = NDArray[np.generic]
Run = Callable[..., list[Array]]
"""Named input arrays, and perhaps the names of the outputs that are wanted, to those outputs."""

MOST_BATCHES = 64  # that are told of: a list of 2,048 texts may be run in as many
ROWS_ALONE = "rows_alone"
"""The option of a manifest whose graphs answer a row otherwise beside others: each is run by itself."""


class Runs(Protocol):
    """The graphs of a version: called it runs the main one, others are had by their names."""

    def __call__(self, feeds: Mapping[str, Array], outputs: Sequence[str] | None = None) -> list[Array]: ...

    def __getitem__(self, graph: str) -> Run: ...


class Parameters(BaseModel):
    """Options of a request; each task has its own. Unknown names are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


@dataclass(frozen=True)
class Batch:
    """One run as those in it saw it; of a search one batch of texts or sounds, from its first step to its last.

    ``rows`` in all, of which ``others`` are other callers'; ``padding`` is the share of the batch that was filled up;
    ``queue_ms`` and ``run_ms`` are what the caller's rows waited for it and what it took.
    """

    rows: int
    others: int
    padding: float
    queue_ms: float
    run_ms: float


class Encoded(Protocol):
    """One item, ready for the model. ``cost`` is what a batch is measured by (tokens, pixels, samples)."""

    @property
    def cost(self) -> int: ...

    @property
    def truncated(self) -> bool: ...


@dataclass(frozen=True)
class Bundle:
    """An item that the graph reads as several rows, each of which enters the queue by itself."""

    rows: tuple[Encoded, ...]

    @property
    def cost(self) -> int:
        """That of all rows."""
        return sum(row.cost for row in self.rows)

    @property
    def truncated(self) -> bool:
        """Whether any row had to be cut."""
        return any(row.truncated for row in self.rows)


class Task(ABC):
    """One task for one model version. Stateless after construction and safe to call from several threads.

    The steps of a request, in order: ``items`` -> ``preprocess`` each item -> ``run`` a batch (``collate``, the graph,
    ``read``) -> ``postprocess`` each row -> ``respond``. A step that fails for one item raises a ``ZooError`` and harms
    no other.
    """

    name: ClassVar[str]
    modality: ClassVar[str]
    embeds: ClassVar[bool] = False  # whether /v1/embeddings may be asked of it: a text is answered with one vector
    listens: ClassVar[bool] = False  # whether /v1/audio may be asked of it: it then has ``listen``
    streams: ClassVar[bool] = False  # whether an answer may be had bit by bit: it then has ``stream``
    shares: ClassVar[bool] = False  # whether ``run`` puts what several threads ask for at once into one batch
    also: ClassVar[tuple[str, ...]] = ()  # tasks whose requests the same graph may answer too, told by their form
    # Padding decides on a CPU: rows sorted by length and at most this cost (padding counted) in one run were the
    # fastest (237 texts/s against 47 in arrival order, MiniLM, lengths 4-256).
    batch_cost: ClassVar[int] = 512
    # Batches whose items are in memory together: many are sorted by length, of what has but one size few will do.
    window: ClassVar[int] = 32
    sample: ClassVar[object] = "warm"  # an item to run before the first user's
    Parameters: ClassVar[type[Parameters]]

    @abstractmethod
    def __init__(self, entry: ModelEntry, folder: Path) -> None:
        """``folder`` holds the version's files; raises ``ArtifactCorrupt`` when one of them cannot be read."""

    @classmethod
    def fits(cls, entry: ModelEntry) -> bool:
        """Whether a version of another task, which names this one in ``also``, can answer it."""
        return True

    @classmethod
    def asked(cls, inputs: object, parameters: Mapping[str, Any]) -> bool:
        """Whether a request has the form of this task, when it comes to a version of one that names it in ``also``."""
        return False

    def parameters(self, raw: Mapping[str, Any]) -> Any:
        """The request's options, checked; raises ``InvalidInput`` that names the option at fault."""
        try:
            return self.Parameters.model_validate(dict(raw))
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            where = ".".join(str(part) for part in ("parameters", *first["loc"]))[:100]
            if first["type"] == "extra_forbidden":
                known = ", ".join(sorted(self.Parameters.model_fields)) or "none"
                message = f"{where} is not an option of {self.name}; it has: {known}."
                raise InvalidInput(message, code="unknown_field", param=where) from None
            fault = first["msg"].removeprefix("Value error, ")
            raise InvalidInput(f"{where}: {fault}.", param=where) from None

    def warming(self) -> Any:
        """Options to run ``sample`` with: those of a request that has none."""
        return self.parameters({})

    def items(self, inputs: object) -> tuple[list[object], bool]:
        """The single items of ``inputs``, and whether a list was sent (then a list is answered)."""
        if isinstance(inputs, list):
            return inputs, True
        return [inputs], False

    @abstractmethod
    def preprocess(self, item: object, parameters: Any) -> Encoded:
        """One item to arrays, or to a ``Bundle`` of them, for which ``postprocess`` then gets a list of rows.

        Raises ``InvalidInput`` or ``TooLarge``.
        """

    def light(self, inputs: object, parameters: Mapping[str, Any]) -> bool:
        """Whether this is one item, prepared and finished in about the time that it takes to wake a thread up.

        Asked before ``parameters`` are checked: they may be anything.
        """
        return self.modality == "text" and isinstance(inputs, str) and len(inputs) <= LIGHT

    def alike(self, encoded: Any) -> object:
        """What has to be equal of rows that share a run: nothing, where the shorter ones can be filled up."""
        return None

    def collate(self, batch: Sequence[Any]) -> dict[str, Array]:
        """Rows that are ``alike`` as the graph's inputs by name, rows first."""
        raise NotImplementedError

    def read(self, outputs: Sequence[Array], batch: Sequence[Any]) -> list[Any]:
        """What the graph answered to ``collate(batch)``, row by row, without what was answered to padding."""
        return list(outputs[0])

    def run(self, batch: Sequence[Any], run: Runs) -> list[Any]:
        """One array for each encoded item; ``run`` maps named input arrays to the graph's outputs.

        Made of ``collate`` and ``read``, unless a task has a way of its own. A task that searches (speech, translation)
        answers with what it found instead of an array, and one that reads on while it runs (a long recording) with the
        ``ZooError`` of an item that turns out to be damaged.
        """
        answers: list[Any] = [None] * len(batch)
        for places in groups(batch, self.alike):
            chosen = [batch[place] for place in places]
            for place, answer in zip(places, self.read(run(self.collate(chosen)), chosen), strict=True):
                answers[place] = answer
        return answers

    def listen(self, sound: object, parameters: Any, run: Runs, *, eager: bool) -> Iterator[Any]:
        """What is said in a recording, stretch by stretch: a ``Transcript`` of each, in order, at least one.

        ``sound``: bytes or an open file, read as it is needed. ``eager`` answers the first stretch alone, so that
        there is something to show soon; without it many are answered together. Only where ``listens``.
        """
        raise NotImplementedError

    def stream(self, encoded: Any, run: Runs) -> Iterator[str]:
        """The text that answers an item bit by bit, at least one; the bits joined are the text. Where ``streams``.

        ``encoded`` is what ``preprocess`` made of the item.
        """
        raise NotImplementedError

    @abstractmethod
    def postprocess(self, row: Any, encoded: Any, parameters: Any) -> object:
        """One row of the model's answer as JSON-ready data; ``encoded`` is what ``preprocess`` made of its item."""

    def respond(self, results: list[object], many: bool) -> object:
        """The body of the answer from the results in the order sent; a failed item is ``{"error": …, "code": …}``."""
        return results if many else results[0]


def groups(batch: Sequence[Any], alike: Callable[[Any], object]) -> list[list[int]]:
    """The places of rows that are alike, in the order of the first of each."""
    found: dict[object, list[int]] = {}
    for place, row in enumerate(batch):
        found.setdefault(alike(row), []).append(place)
    return list(found.values())


def load_task(entry: ModelEntry, folder: Path) -> Task:
    """The task of a model version; raises ``Unsupported`` when this release has no such task."""
    return task_class(entry.task)(entry, folder)


def task_class(name: str) -> type[Task]:
    """The class of a task, named as the task is, in capitals and without hyphens; raises ``Unsupported``."""
    kind: type[Task] = getattr(task_module(name), "".join(part.title() for part in name.split("-")))
    return kind


def task_module(name: str) -> Any:
    """The module that defines a task, by the task's name; raises ``Unsupported``."""
    module = f"zoo.tasks.{name.replace('-', '_')}"
    if not is_task(name):
        raise Unsupported(f"This release does not serve the task {name[:64]!r}.", code="unsupported_task", param="task")
    return importlib.import_module(module)


def task_names() -> list[str]:
    """The tasks that this release serves, in alphabetical order: one for each file beside this one."""
    return sorted(filter(is_task, (path.stem.replace("_", "-") for path in Path(__file__).parent.glob("*.py"))))


def is_task(name: str) -> bool:
    """Whether this release serves the task; looks for its file, imports nothing."""
    stem = name.replace("-", "_")
    reserved = {"task", "ops", "processors", "__init__"}
    named = len(name) <= 64 and "_" not in name and stem.isidentifier() and stem not in reserved
    return named and (Path(__file__).parent / f"{stem}.py").is_file()
