"""Text-to-text models of a few thousand weights whose graphs torch runs: no export, transformers' search at hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from adapters.training.graphs_in_torch import GraphsInTorch
from adapters.training.layouts.text_to_text import TextToTextCheckpoint, read_text_to_text
from adapters.training.recipes import summarization, translation
from adapters.training.texts.servable import text_servable
from tests.tiny_texts import write_bart, write_m2m, write_marian, write_t5
from zoo.catalogue.entry import ModelEntry
from zoo.tasks.decoding.shared_batches import answered
from zoo.tasks.decoding.text_to_text import Reading, TextToText, TextToTextParameters, Wish
from zoo.tasks.ready_made.vocabulary import FOLDER

KINDS: dict[str, Callable[..., Path]] = {
    "marian": write_marian,
    "bart": write_bart,
    "m2m_100": write_m2m,
    "t5": write_t5,
}
_TASKS = {"translation": translation.TASKS, "summarization": summarization.TASKS}


@dataclass(frozen=True)
class TorchTexts:
    """A model as it is served but for ONNX, and the same in transformers."""

    checkpoint: TextToTextCheckpoint
    graphs: GraphsInTorch
    served: TextToText
    entry: ModelEntry

    @classmethod
    def read(cls, folder: Path, task: str = "translation") -> TorchTexts:
        checkpoint = read_text_to_text(folder, _TASKS[task])
        servable = text_servable(checkpoint)
        entry = ModelEntry(
            name="tiny",
            version=1,
            task=task,
            modality="text",
            architecture=servable.architecture,
            licence="none",
            created=0,
            limits=servable.limits,
            options=servable.options,
        )
        return cls(checkpoint, GraphsInTorch(servable), TextToText(entry, folder / FOLDER, share=0.5), entry)

    def wish(self, options: dict[str, Any] | None = None, **pair: str) -> Wish:
        parameters = TextToTextParameters(generate_parameters=options or {})
        return self.served.wish(parameters, **(pair or self.served.any_pair()))

    def written(self, readings: list[Reading]) -> list[tuple[int, ...]]:
        """What the served search writes to texts of one passage each."""
        rows = answered(self.served.run(readings, self.graphs))
        return [row[0].tokens for row in rows]

    def expected(self, reading: Reading) -> tuple[int, ...]:
        """What transformers writes to the same ids."""
        ((wanted, _),) = reading.passages
        asked = wanted.asked.model_dump(exclude_none=True)
        asked = {name: _plain(value) for name, value in asked.items() if value != ()}
        start, end = self.checkpoint.settings.start, self.checkpoint.settings.end
        found = self.checkpoint.model.generate(torch.tensor(wanted.ids)[None], do_sample=False, **asked)[0].tolist()
        assert found[0] == start
        tokens = found[1:]
        return tuple(tokens[: tokens.index(end)] if end in tokens else tokens)


def _plain(value: Any) -> Any:
    return [_plain(one) for one in value] if isinstance(value, tuple) else value
