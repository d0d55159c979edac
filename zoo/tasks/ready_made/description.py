"""What a task finds beside ready-made graphs: all that a manifest says of a version, and how it is tried."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, cast

from zoo.catalogue.onnx_file import INT64, OnnxFile
from zoo.errors import InvalidInput, Unsupported
from zoo.tasks.ready_made.answers import OPTION, Answers
from zoo.tasks.task import is_task

TOKENIZER = "tokenizer.json"
MAIN = "model.onnx"
Shape = tuple[str | int, ...]
"""Of an answer: ``rows``, ``tokens``, ``places``, a number, or ``any``."""


@dataclass(frozen=True)
class Description:
    """``labels``, ``limits`` and ``options`` of the manifest; ``files`` are served: name in the version -> where.

    ``answer`` is the shape of what the main graph answers to texts of a ``vocabulary``; () where the task tries it.
    """

    limits: dict[str, int]
    options: dict[str, Any]
    answers: Answers
    answer: Shape = ()
    vocabulary: int = 0
    labels: tuple[str, ...] = ()
    files: dict[str, Path] = field(default_factory=dict)

    def manifest_options(self) -> dict[str, Any]:
        """``options``, with what makes an answer of the graph's outputs."""
        return {**self.options, OPTION: self.answers.model_dump(mode="json")}


class Describes(Protocol):
    """One file beside this one for each task."""

    def describe(self, checkpoint: Path, graphs: Mapping[str, OnnxFile]) -> Description:
        """Of a checkpoint in the hub's layout and its graphs, by their names in a version.

        Raises ``InvalidInput`` for files that are missing or contradict each other, ``Unsupported`` for another task.
        """


def load_description(task: str) -> Describes:
    """Of a task; raises ``Unsupported`` where ready-made graphs are not served."""
    if not is_described(task):
        message = f"Ready-made graphs for {task[:64]} are not served: import a checkpoint with safetensors."
        raise Unsupported(message, code="unsupported_task", param="task")
    return cast(Describes, importlib.import_module(f"zoo.tasks.ready_made.{task.replace('-', '_')}"))


def is_described(task: str) -> bool:
    """Whether ready-made graphs of a task are served; looks for its file, imports nothing."""
    return is_task(task) and (Path(__file__).parent / f"{task.replace('-', '_')}.py").is_file()


def main_graph(graphs: Mapping[str, OnnxFile], inputs: tuple[str, ...]) -> OnnxFile:
    """The main graph, if it takes nothing but ``inputs``, whole numbers of 64 bits."""
    graph = graphs[MAIN]
    for value in graph.inputs:
        if value.name not in inputs:
            message = f"The graph wants {value.name[:64]}, which this task does not give: it gives {', '.join(inputs)}."
            raise Unsupported(message, code="unsupported_graph")
        if value.type != INT64:
            raise Unsupported(f"The graph takes {value.name} in another type than int64.", code="unsupported_graph")
    return graph


def answers_with(graph: OnnxFile, *names: str) -> Answers:
    """All of these outputs; raises ``Unsupported`` that names the one that the graph lacks."""
    for name in names:
        if graph.output(name) is None:
            there = ", ".join(value.name[:64] for value in graph.outputs[:8])
            message = f"The graph does not answer {name}, which the task reads; it answers {there}."
            raise Unsupported(message, code="unsupported_graph")
    return Answers(outputs=names)


def needed_tokenizer(checkpoint: Path) -> Path:
    """``tokenizer.json``; raises ``InvalidInput`` where there is none."""
    path = checkpoint / TOKENIZER
    if not path.is_file():
        message = "The checkpoint has no tokenizer.json, which ready-made graphs need: save the fast tokenizer."
        raise InvalidInput(message, code="invalid_checkpoint")
    return path
