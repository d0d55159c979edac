"""What adaptations of recognisers have in common: texts that the served search finds, their errors, their agreement."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from onnx import ModelProto
from torch import Tensor, nn

from adapters.datasets import Example
from adapters.training.features import by_length
from adapters.training.judging import Judged, Tick
from adapters.training.recipe import Batch, Item, Outputs, Servable
from adapters.training.searched import SearchedAnswers
from adapters.training.speech.scores import speech_scores
from zoo.catalogue.entry import ModelEntry
from zoo.errors import InvalidInput


class SpeechRecognition(ABC):
    """The part of ``recipe.Adaptation`` that does not depend on the kind of network.

    Targets have an ``example``: a clip and its transcript.
    """

    headline = ("wer", "cer")
    probes = False
    knows = True
    max_tokens = None
    taps = ()
    readout = None
    labels: tuple[str, ...] = ()

    def __init__(self, checkpoint: Path, base: ModelEntry) -> None:
        self.answers = SearchedAnswers(base, checkpoint, request=self.request)

    @abstractmethod
    def loss(self, outputs: Tensor, targets: Sequence[Any]) -> Tensor:
        """A mean over clips."""

    @abstractmethod
    def servable(self) -> Servable:
        """The network as it is to be exported."""

    @abstractmethod
    def item(self, example: Example) -> Item:
        """One clip as the network hears it."""

    @abstractmethod
    def apart(self, answer: Any, row: Any, example: Example) -> float:
        """How far a served row is from torch's answer."""

    def encode(self, examples: Sequence[Example], *, views: int = 1) -> list[Item]:
        return [self.item(example) for example in examples for _ in range(views)]

    def features(self, batch: Batch) -> Tensor:
        """There is no probe."""
        raise NotImplementedError

    @torch.no_grad()
    def fit_head(self, head: nn.Module, features: Tensor, targets: Sequence[Any], *, views: int) -> None:
        """There is no probe."""
        raise NotImplementedError

    @torch.no_grad()
    def judge(self, items: Sequence[Item], outputs: Outputs, *, tick: Tick | None = None) -> Judged:
        """Word and character errors of what the served search finds; the loss is that of training."""
        loss = 0.0
        for places in by_length(items):
            some = [items[place] for place in places]
            loss += float(self.loss(outputs(some).float(), [item.target for item in some])) * len(some) / len(items)
        rows, texts = self.answers.rows(items, self.servable(), tick=tick)
        said = [item.target.example.values["text"] for item in items]
        scores = speech_scores(texts, said)
        return Judged(rows, scores, loss, counted=max(1, scores["words"]))

    @torch.no_grad()
    def compare(self, answer: Any, row: Any, body: Any, example: Example) -> tuple[float, bool]:
        """``apart``, and whether the text is that of the served row, by the tokenizer of the base."""
        text = self.answers.text(row, self.answers.encode(example))
        return self.apart(answer, row, example), self.answers.told(body) == text

    def request(self, example: Example) -> object:
        return example.read("audio")

    def extend(self, graphs: Mapping[str, ModelProto]) -> bool:
        """Whether changed weights are all that the graphs need."""
        return True


def refused(example: Example, fault: str) -> InvalidInput:
    """The error for a clip that cannot be learnt from; ``fault`` is a sentence, and what to do about it."""
    name = example.files["audio"].name[:80]
    return InvalidInput(f"Row {example.row} ({name}): {fault}", code="invalid_dataset", param="training_file")


def frozen(model: nn.Module) -> nn.Module:
    """Itself, in evaluation mode, its weights left as they are."""
    return model.eval().requires_grad_(False)
