"""Whisper and clips with their transcripts: what it should have written is what it learns to write."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from onnx import ModelProto
from torch import Tensor, nn
from torch.nn import functional

from adapters.datasets import Example
from adapters.training.features import by_length
from adapters.training.graphs_in_torch import GraphsInTorch
from adapters.training.judging import Judged, Tick
from adapters.training.layouts.whisper import read_whisper
from adapters.training.recipe import Batch, Defaults, Item, Outputs, Servable
from adapters.training.speech_answers import SpeechAnswers
from adapters.training.speech_network import TaughtWhisper
from adapters.training.speech_scores import speech_scores
from adapters.training.speech_transcripts import Said, Transcripts, stacked
from adapters.training.whisper_servable import whisper_servable
from zoo.catalogue.entry import ModelEntry
from zoo.errors import InvalidInput
from zoo.tasks.decoding.cached_decoder import CachedDecoder
from zoo.tasks.decoding.greedy import log_softmax
from zoo.tasks.decoding.transcript import Spoken
from zoo.tasks.decoding.whisper_tokens import WhisperTokens
from zoo.tasks.processors import whisper_window as windows

LISTENED = 32  # clips that the language is told by
KEPT_BYTES = 1_000_000_000  # of spectra in memory; those beyond are computed again each time
ENCODER_SHARE = 0.5  # of its layers, from the last one down, that get LoRA
TOGETHER = 6_000  # positions of one pass with gradients: four whole windows


class WhisperAdaptation:
    """See ``recipe.Adaptation``. Clips are heard as they are when served, silence at few positions."""

    headline = ("wer", "cer")
    probes = False
    knows = True
    max_tokens = None
    taps = ()
    labels: tuple[str, ...] = ()

    def __init__(self, checkpoint: Path, base: ModelEntry, examples: Sequence[Example]) -> None:
        self._whisper = read_whisper(checkpoint)
        self._base = base
        self._checkpoint = checkpoint
        self._ids = WhisperTokens.of(base.options["whisper"])
        self._answers = SpeechAnswers(base, checkpoint)
        self._spectra: dict[int, Batch] = {}
        self._kept = 0
        self.body: nn.Module = self._whisper.model.requires_grad_(False)
        self.network = TaughtWhisper(self.body).eval()
        self.head = self.network.head
        self._steps = self.network.steps()
        self._transcripts = Transcripts(checkpoint, self._ids, language=self._language(examples))

    @property
    def defaults(self) -> Defaults:
        """LoRA on the whole decoder and the upper part of the encoder."""
        layers = len(self._whisper.model.model.decoder.layers)
        layers += round(ENCODER_SHARE * len(self._whisper.model.model.encoder.layers))
        return Defaults(
            updates=160,
            epochs=(3, 10),
            batch_size=(16, 16),
            learning_rate=(1e-3, 1e-3),
            lora_rank=16,
            top=(layers - 0.5) / len(self._steps),
            refit_below=0,
            together=TOGETHER,
        )

    def steps(self) -> Sequence[nn.Module]:
        return self._steps

    def encode(self, examples: Sequence[Example], *, views: int = 1) -> list[Item]:
        return [self._item(example) for example in examples for _ in range(views)]

    def _item(self, example: Example) -> Item:
        window = self._window(example)
        spectrum = _tensors(window)
        size = sum(values.nbytes for values in spectrum.values())
        said = self._transcripts(example)
        if self._kept + size <= KEPT_BYTES:
            self._kept += size
            return Item(length=window.cost, target=said, tensors=spectrum)
        return Item(length=window.cost, target=said, load=lambda: _tensors(self._window(example)))

    def _window(self, example: Example) -> windows.Window:
        """Raises ``InvalidInput`` (``invalid_dataset``) for a clip that is longer than what is heard at once."""
        speech = self._answers.encode(example.read("audio"))
        if len(speech.windows) != 1:
            most = self._ids.places * windows.FRAMES / 100
            message = (
                f"Row {example.row} ({example.files['audio'].name[:80]}): the clip is longer than the {most:g} s that "
                "the model hears at once. Cut the clip and its transcript."
            )
            raise InvalidInput(message, code="invalid_dataset", param="training_file")
        window: windows.Window = speech.windows[0]
        return window

    def collate(self, items: Sequence[Item], *, entered: bool = False) -> Batch:
        """With ``entered`` the spectra are left out: what enters the layers stands for them."""
        some = [item.read() for item in items]
        if entered:
            some = [one | {"features": one["features"][:, :2]} for one in some]
        given = windows.stacked([windows.Window(**{k: v.numpy() for k, v in one.items()}, heard=0) for one in some])
        tokens, taught = stacked([item.target for item in items], self._ids.end)
        return {name: torch.from_numpy(values) for name, values in given.items()} | {"tokens": tokens, "taught": taught}

    def features(self, batch: Batch) -> Tensor:
        raise NotImplementedError

    def loss(self, outputs: Tensor, targets: Sequence[Said]) -> Tensor:
        """Mean over clips of the mean cross-entropy of a clip's tokens."""
        sizes = [len(said.wanted) for said in targets]
        losses = functional.cross_entropy(outputs, torch.cat([said.wanted for said in targets]), reduction="none")
        return torch.stack([one.mean() for one in torch.split(losses, sizes)]).mean()

    @torch.no_grad()
    def judge(self, items: Sequence[Item], outputs: Outputs, *, tick: Tick | None = None) -> Judged:
        """Word and character errors of what the served search finds; the loss is that of training."""
        loss = 0.0
        for places in by_length(items):
            some = [items[place] for place in places]
            loss += float(self.loss(outputs(some).float(), [item.target for item in some])) * len(some) / len(items)
        rows, texts = self._answers.rows(items, self.servable(), tick=tick)
        return Judged(rows, speech_scores(texts, [item.target.example.values["text"] for item in items]), loss)

    @torch.no_grad()
    def compare(self, answer: list[Spoken], row: list[Spoken], body: Any, example: Example) -> tuple[float, bool]:
        """Differences of mean log-probabilities; where tokens differ, how far apart torch rates the two."""
        same = body["text"] == self._answers.text(row, self._answers.encode(example.read("audio")))
        return max(self._apart(one, other, example) for one, other in zip(answer, row, strict=True)), bool(same)

    def _apart(self, trained: Spoken, served: Spoken, example: Example) -> float:
        if trained.tokens == served.tokens and trained.temperature == served.temperature:
            return max(abs(trained.mean - served.mean), abs(trained.no_speech - served.no_speech))
        if trained.temperature or served.temperature or trained.language != served.language:
            return float("inf")
        pairs = list(zip((*trained.tokens, self._ids.end), (*served.tokens, self._ids.end), strict=False))
        place = next(place for place, (one, other) in enumerate(pairs) if one != other)
        before = [*self._transcripts.prompt(trained.language), *trained.tokens[:place]]
        chances = log_softmax(self._decoder(example).step(np.array([[before]]))[0, 0, 0])
        one, other = pairs[place]
        return float(abs(chances[one] - chances[other]))

    def _decoder(self, example: Example) -> CachedDecoder:
        """torch's decoder for one clip, which has read nothing yet."""
        graphs, names = GraphsInTorch(self.servable()), self._ids.names
        given = windows.stacked([self._window(example)])
        cross = zip(names, graphs(given), strict=True)
        fixed = {"weights": given["weights"]} | {f"cross_{name}": values for name, values in cross}
        return CachedDecoder(graphs["decoder"], fixed, names, (self._ids.heads, self._ids.width))

    def request(self, example: Example) -> object:
        return example.read("audio")

    def servable(self) -> Servable:
        files = {"tokenizer.json": self._checkpoint / "tokenizer.json"}
        merged = replace(self._whisper, model=self.network.whisper)
        return whisper_servable(merged, options=dict(self._base.options), files=files)

    def extend(self, graphs: Mapping[str, ModelProto]) -> bool:
        """There is no head: the graphs are whole."""
        return True

    def _language(self, examples: Sequence[Example]) -> str | None:
        """The one that most clips are heard as, for multilingual models."""
        if not self._ids.multilingual or not self._ids.languages:
            return None
        names, ids = list(self._ids.languages), list(self._ids.languages.values())
        votes: Counter[str] = Counter()
        for example in examples[:: -(-len(examples) // LISTENED)]:
            logits = self._decoder(example).step(np.array([[[self._ids.start]]]))[0, 0, 0]
            votes[names[int(logits[ids].argmax())]] += 1
        return votes.most_common(1)[0][0]


def _tensors(window: windows.Window) -> Batch:
    names = ("features", "sources", "places", "weights")
    return {name: torch.from_numpy(getattr(window, name)) for name in names}
