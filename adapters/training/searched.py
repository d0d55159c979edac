"""A model that searches, judged as it will be served: the task's own search over what is to be exported, in torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from adapters.datasets import Example
from adapters.training.features import by_length
from adapters.training.graphs_in_torch import GraphsInTorch
from adapters.training.judging import Tick
from adapters.training.recipe import Item, Servable
from zoo.catalogue.entry import ModelEntry
from zoo.tasks.task import load_task


class SearchedAnswers:
    """The task of a version of the zoo, whose graphs are replaced; ``folder`` holds its tokenizer.

    ``request`` is what a client sends for an example, ``field`` where the answer has the text. Items' targets have
    ``example``.
    """

    def __init__(
        self, base: ModelEntry, folder: Path, *, request: Callable[[Example], object], field: str = "text"
    ) -> None:
        self.task = load_task(base, folder)
        self._options = self.task.parameters({})
        self._request = request
        self._field = field

    def encode(self, example: Example) -> Any:
        """What is asked for an example, as the task prepares it."""
        return self.task.preprocess(self._request(example), self._options)

    def text(self, row: Any, encoded: Any) -> str:
        """What a client is told."""
        return self.told(self.task.postprocess(row, encoded, self._options))

    def told(self, body: Any) -> str:
        """The text of an answer, which some tasks put into a list of one."""
        answer = body[0] if isinstance(body, list) else body
        return str(answer[self._field])

    def rows(
        self, items: Sequence[Item], servable: Servable, *, tick: Tick | None = None
    ) -> tuple[list[Any], list[str]]:
        """What the search finds for each item, and its text."""
        graphs = GraphsInTorch(servable)
        rows: dict[int, Any] = {}
        texts: dict[int, str] = {}
        for places in by_length(items, cost=self.task.batch_cost):
            encoded = [self.encode(items[place].target.example) for place in places]
            for place, one, row in zip(places, encoded, self.task.run(encoded, graphs), strict=True):
                rows[place], texts[place] = row, self.text(row, one)
            if tick is not None:
                tick(len(rows), len(items))
        return [rows[place] for place in range(len(items))], [texts[place] for place in range(len(items))]
