"""summarization: a text to what it says in few words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from zoo.catalogue.entry import ModelEntry
from zoo.errors import ZooError
from zoo.tasks.decoding.greedy import Hypothesis
from zoo.tasks.decoding.text_to_text import Reading, TextToText, TextToTextParameters, Wish
from zoo.tasks.decoding.writer import BATCH
from zoo.tasks.task import Runs, Task

PASSAGE = 1.0  # a summary of as much as can be read at once knows most


class Summarization(Task):
    """Input: a string. Output: ``{"summary_text"}``; of a text longer than the model reads, a summary of each part."""

    name = "summarization"
    modality = "text"
    batch_cost: ClassVar[int] = 4 * BATCH
    shares = True
    streams = True
    Parameters = TextToTextParameters

    def __init__(self, entry: ModelEntry, folder: Path) -> None:
        self.model = TextToText(entry, folder, share=PASSAGE)

    def parameters(self, raw: Mapping[str, Any]) -> Wish:
        return self.model.wish(super().parameters(raw))

    def preprocess(self, item: object, parameters: Wish) -> Reading:
        return self.model.read(item, parameters)

    def run(self, batch: Sequence[Reading], run: Runs) -> list[list[Hypothesis] | ZooError]:
        return self.model.run(batch, run)

    def stream(self, encoded: Reading, run: Runs) -> Iterator[str]:
        return self.model.stream(encoded, run)

    def postprocess(self, row: list[Hypothesis], encoded: Reading, parameters: Wish) -> dict[str, str]:
        return {"summary_text": self.model.text(row, encoded)}

    def respond(self, results: list[object], many: bool) -> Any:
        """Always a list of answers: the Hugging Face client takes element 0 for a single text."""
        return results
