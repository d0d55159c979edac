"""Text-to-text models and pairs of texts: LoRA on encoder and decoder, judged by the search that serves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from onnx import ModelProto
from torch import Tensor, nn

from adapters.datasets import Example
from adapters.training import teaching
from adapters.training.features import by_length
from adapters.training.graphs_in_torch import GraphsInTorch
from adapters.training.judging import Judged, Tick
from adapters.training.layouts.text_to_text import TextToTextCheckpoint, read_model
from adapters.training.recipe import Batch, Defaults, Item, Outputs, Servable
from adapters.training.searched import SearchedAnswers
from adapters.training.teaching import Said, stacked
from adapters.training.texts import languages
from adapters.training.texts.network import TaughtText
from adapters.training.texts.servable import text_servable
from adapters.training.texts.vocabulary import target_tokenizer
from zoo.catalogue.entry import ModelEntry
from zoo.tasks.decoding.greedy import Hypothesis, log_softmax
from zoo.tasks.decoding.text_settings import TextSettings
from zoo.tasks.decoding.text_to_text import Reading, TextToText
from zoo.tasks.ready_made.vocabulary import FOLDER, served_files

TOGETHER = 4096  # tokens of both sides, filling counted, of one pass with gradients

Scores = Callable[[Sequence[str], Sequence[str]], dict[str, Any]]
"""Figures of texts beside those that were wanted, with a ``score`` by which models are compared."""


class TextAdaptation:
    """See ``recipe.Adaptation``. ``field`` is where an answer has its text, ``headline`` what ``scores`` begin with."""

    probes = False
    knows = True
    taps = ()
    readout = None
    labels: tuple[str, ...] = ()
    defaults = Defaults(
        updates=200,
        epochs=(3, 10),
        batch_size=(16, 32),
        learning_rate=(5e-4, 5e-4),
        lora_rank=16,
        top=1.0,
        together=TOGETHER,
    )

    def __init__(
        self, checkpoint: Path, base: ModelEntry, *, field: str, scores: Scores, headline: tuple[str, ...]
    ) -> None:
        self.headline = headline
        self._scores = scores
        self._settings = TextSettings.of(base.options["text_to_text"])
        languages.check(base, self._settings)
        self.max_tokens = base.limits["max_tokens"]
        self.answers = SearchedAnswers(base, checkpoint / FOLDER, request=self.request, field=field)
        self._reader: TextToText = self.answers.task.model  # type: ignore[attr-defined]
        self._target = target_tokenizer(checkpoint)
        self._files = served_files(checkpoint)
        self.body: nn.Module = read_model(checkpoint)
        self.network = TaughtText(self.body).eval()
        self.head = self.network.head

    @property
    def languages(self) -> tuple[str | None, str | None]:
        """From which to which, where the model has a name for them."""
        return self._settings.source, self._settings.target

    def steps(self) -> Sequence[nn.Module]:
        return self.network.steps()

    def encode(self, examples: Sequence[Example], *, views: int = 1) -> list[Item]:
        return [self._item(example) for example in examples for _ in range(views)]

    def _item(self, example: Example) -> Item:
        """A pair as the network reads it; both sides are cut where the model ends."""
        ids = torch.from_numpy(self._cut(example).passages[0][0].ids)
        said = self._said(example)
        return Item(length=len(ids) + len(said.tokens), target=said, tensors={"input_ids": ids})

    def _cut(self, example: Example) -> Reading:
        wish = replace(self.answers.task.parameters({}), cut=True)
        return self._reader.read(self.request(example), wish)

    def _said(self, example: Example) -> Said:
        settings = self._settings
        written = self._target.encode(example.values["target"], add_special_tokens=False).ids
        unknown = [settings.unknown] if settings.unknown is not None else []
        ids = [token for one in written for token in ([one] if one < settings.vocabulary else unknown)]
        first = [settings.languages[settings.target or ""]] if settings.reads_language else list(settings.before)
        wanted = [*first, *ids[: settings.most_tokens - 1 - len(first) - len(settings.after)], *settings.after]
        tokens = torch.tensor([settings.start, *wanted[:-1]])
        return Said(example, tokens, torch.ones_like(tokens, dtype=torch.bool), torch.tensor(wanted))

    def collate(self, items: Sequence[Item], *, entered: bool = False) -> Batch:
        texts = [item.read()["input_ids"] for item in items]
        ids = torch.full((len(texts), max(map(len, texts))), self._settings.pad)
        mask = torch.zeros_like(ids)
        for row, text in enumerate(texts):
            ids[row, : len(text)], mask[row, : len(text)] = text, 1
        tokens, taught = stacked([item.target for item in items], self._settings.pad)
        return {"input_ids": ids, "attention_mask": mask, "tokens": tokens, "taught": taught}

    def features(self, batch: Batch) -> Tensor:
        """There is no probe."""
        raise NotImplementedError

    def loss(self, outputs: Tensor, targets: Sequence[Said]) -> Tensor:
        return teaching.loss(outputs, targets)

    @torch.no_grad()
    def judge(self, items: Sequence[Item], outputs: Outputs, *, tick: Tick | None = None) -> Judged:
        """Figures of what the served search writes; the loss is that of training."""
        loss = 0.0
        for places in by_length(items):
            some = [items[place] for place in places]
            loss += float(self.loss(outputs(some).float(), [item.target for item in some])) * len(some) / len(items)
        rows, texts = self.answers.rows(items, self.servable(), tick=tick)
        wanted = [item.target.example.values["target"] for item in items]
        words = sum(len(text.split()) for text in wanted)
        return Judged(rows, self._scores(texts, wanted), loss, counted=max(1, words))

    @torch.no_grad()
    def compare(self, answer: Any, row: Any, body: Any, example: Example) -> tuple[float, bool]:
        """How far the served row is from torch's answer, and whether a client is told its text."""
        reading = self.answers.encode(example)
        pairs = zip(answer, row, reading.passages, strict=True)
        apart = max(self._apart(one, other, wanted.ids) for one, other, (wanted, _) in pairs)
        return apart, self.answers.told(body) == self.answers.text(row, reading)

    def _apart(self, trained: Hypothesis, served: Hypothesis, ids: Any) -> float:
        """In mean log-probabilities; where tokens differ, how far apart torch rates the two where they part."""
        if trained.tokens == served.tokens or self._settings.generation.num_beams > 1:
            penalty = self._settings.generation.length_penalty
            one, other = (said.score / (len(said.tokens) + said.ended) ** penalty for said in (trained, served))
            return float(abs(one - other))
        end, writer = self._settings.end, self._reader.writer
        both = list(zip((*trained.tokens, end), (*served.tokens, end), strict=False))
        place = next(place for place, (one, other) in enumerate(both) if one != other)
        before = np.array([trained.tokens[:place]], dtype=np.int64)
        tokens = np.concatenate([[[self._settings.start]], before], axis=1)[:, None]
        logits = writer.decoder([ids], GraphsInTorch(self.servable())).step(tokens)[:, 0, 0]
        writer.rules(self._settings.generation)(before, logits)
        chances = log_softmax(logits)[0]
        return float(abs(chances[both[place][0]] - chances[both[place][1]]))

    def request(self, example: Example) -> object:
        return example.values["source"]

    def servable(self) -> Servable:
        model = self.network.model
        return text_servable(TextToTextCheckpoint(model, self._settings, self._files, most=self.max_tokens))

    def extend(self, graphs: Mapping[str, ModelProto]) -> bool:
        """Whether changed weights are all that the graphs need."""
        return True
