"""A recogniser judged as it will be served: the task's own search over what is to be exported, run by torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from adapters.training.features import by_length
from adapters.training.graphs_in_torch import GraphsInTorch
from adapters.training.judging import Tick
from adapters.training.recipe import Item, Servable
from zoo.catalogue.entry import ModelEntry
from zoo.tasks.task import load_task


class SpeechAnswers:
    """The task of a version of the zoo, whose graphs are replaced; ``checkpoint`` holds its tokenizer.

    Items' targets have ``example``, the clip and its transcript.
    """

    def __init__(self, base: ModelEntry, checkpoint: Path) -> None:
        self.task = load_task(base, checkpoint)
        self._options = self.task.parameters({})

    def encode(self, sound: bytes) -> Any:
        """The clip as the task prepares it."""
        return self.task.preprocess(sound, self._options)

    def text(self, row: Any, encoded: Any) -> str:
        """What a client is told."""
        said: Any = self.task.postprocess(row, encoded, self._options)
        return str(said["text"])

    def rows(
        self, items: Sequence[Item], servable: Servable, *, tick: Tick | None = None
    ) -> tuple[list[Any], list[str]]:
        """What the search finds in each clip, and its text."""
        graphs = GraphsInTorch(servable)
        rows: dict[int, Any] = {}
        texts: dict[int, str] = {}
        for places in by_length(items, cost=self.task.batch_cost):
            encoded = [self.encode(items[place].target.example.read("audio")) for place in places]
            for place, one, row in zip(places, encoded, self.task.run(encoded, graphs), strict=True):
                rows[place], texts[place] = row, self.text(row, one)
            if tick is not None:
                tick(len(rows), len(items))
        return [rows[place] for place in range(len(items))], [texts[place] for place in range(len(items))]
