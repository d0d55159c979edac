"""translation: a text in one language to the same in another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from zoo.catalogue.entry import ModelEntry
from zoo.errors import ZooError
from zoo.tasks.decoding.greedy import Hypothesis
from zoo.tasks.decoding.text_to_text import Reading, TextToText, TextToTextParameters, Wish
from zoo.tasks.decoding.writer import BATCH
from zoo.tasks.task import Runs, Task

# Translators learn from sentences: a passage of a longer text leaves room for a translation that is longer than itself.
PASSAGE = 0.5


class TranslationParameters(TextToTextParameters):
    """``src_lang`` and ``tgt_lang`` are needed by models of many languages; others have their own."""

    src_lang: str | None = Field(None, max_length=40)
    tgt_lang: str | None = Field(None, max_length=40)


class Translation(Task):
    """Input: a string. Output: ``{"translation_text"}``."""

    name = "translation"
    modality = "text"
    batch_cost: ClassVar[int] = 4 * BATCH
    shares = True
    streams = True
    Parameters = TranslationParameters

    def __init__(self, entry: ModelEntry, folder: Path) -> None:
        self.model = TextToText(entry, folder, share=PASSAGE)

    def parameters(self, raw: Mapping[str, Any]) -> Wish:
        asked: TranslationParameters = super().parameters(raw)
        return self.model.wish(asked, source=asked.src_lang, target=asked.tgt_lang)

    def warming(self) -> Wish:
        """A model of many languages has no pair of its own, so any two of them."""
        return self.model.wish(TranslationParameters(), **self.model.any_pair())

    def preprocess(self, item: object, parameters: Wish) -> Reading:
        return self.model.read(item, parameters)

    def run(self, batch: Sequence[Reading], run: Runs) -> list[list[Hypothesis] | ZooError]:
        return self.model.run(batch, run)

    def stream(self, encoded: Reading, run: Runs) -> Iterator[str]:
        return self.model.stream(encoded, run)

    def postprocess(self, row: list[Hypothesis], encoded: Reading, parameters: Wish) -> dict[str, str]:
        return {"translation_text": self.model.text(row, encoded)}

    def respond(self, results: list[object], many: bool) -> Any:
        """Always a list of answers: the Hugging Face client takes element 0 for a single text."""
        return results
