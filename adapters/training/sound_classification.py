"""A pre-trained Whisper encoder under a new linear head, and the classes of one data set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from onnx import ModelProto
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoModelForAudioClassification

from adapters.datasets import Example
from adapters.training import checkpoint as checkpoints
from adapters.training.architectures.clip_encoder import ClipEncoder
from adapters.training.encoder import load_weights
from adapters.training.judging import compare_rows, judge_rows
from adapters.training.layouts.ctranslate2 import is_ctranslate2
from adapters.training.layouts.whisper import read_whisper
from adapters.training.recipe import Batch, Defaults, Item, Servable, Size, seeded
from adapters.training.scores import classification_scores
from adapters.training.sound_config import whisper_hearing
from zoo.catalogue.entry import ModelEntry
from zoo.errors import Unsupported
from zoo.tasks.processors.hearing import padded

INPUTS = ("sound", "heard")


class ClipClassifier(nn.Module):
    """A body and a linear head, which sees what the probe on the frozen body saw, and starts as that."""

    def __init__(self, body: nn.Module, head: nn.Linear) -> None:
        super().__init__()
        self.body = body
        self.head = head

    def pooled(self, sound: Tensor, heard: Tensor) -> Tensor:
        """(batch, width)."""
        vectors: Tensor = self.body(sound, heard)
        return vectors

    def forward(self, sound: Tensor, heard: Tensor) -> Tensor:
        """Logits (batch, labels), before any softmax."""
        logits: Tensor = self.head(self.pooled(sound, heard))
        return logits


class SoundAdaptation:
    """See ``recipe.Adaptation``. Clips are heard at their own length, up to Whisper's 30 s."""

    headline = ("accuracy", "macro_f1")
    probes = True
    knows = False
    judge = judge_rows
    compare = compare_rows
    max_tokens = None
    # As for texts, whose encoders are of this kind: a few hundred updates, LoRA on the upper half.
    defaults = Defaults(
        updates=160,
        epochs=(3, 10),
        batch_size=(16, 32),
        learning_rate=(5e-4, 5e-4),
        lora_rank=8,
        top=0.5,
        refit_below=2000,
    )

    def __init__(self, checkpoint: Path, base: ModelEntry, labels: tuple[str, ...]) -> None:
        self.labels = labels
        self._places = {label: place for place, label in enumerate(labels)}
        self._frozen = ClipEncoder(read_encoder(checkpoint)).requires_grad_(False).eval()
        self._hearing = whisper_hearing(self._frozen.bins, self._frozen.positions, padded=False)
        self.body: nn.Module = self._frozen
        self.head = nn.Linear(self._frozen.width, len(labels))
        self.network = ClipClassifier(self.body, self.head).eval()
        self._architecture = base.architecture

    @property
    def taps(self) -> tuple[int, ...]:
        return (self._frozen.tap,)

    def steps(self) -> Sequence[nn.Module]:
        return self._frozen.steps()

    def encode(self, examples: Sequence[Example], *, views: int = 1) -> list[Item]:
        return [self._item(example) for example in examples for _ in range(views)]

    def _item(self, example: Example) -> Item:
        """Its length takes decoding: the clip is decoded again for each pass, as the spectra would fill the memory."""
        length = len(self._hearing.encode(example.read("audio")).values) // 2
        return Item(length=length, target=self._places[example.values["label"]], load=self._loader(example))

    def _loader(self, example: Example) -> Callable[[], Batch]:
        def load() -> Batch:
            return {"sound": torch.from_numpy(self._hearing.encode(example.read("audio")).values)}

        return load

    def collate(self, items: Sequence[Item], *, entered: bool = False) -> Batch:
        if entered:  # two frames for each vector; what enters the layers is put in their place
            frames = 2 * torch.tensor([item.length for item in items])
            longest = int(frames.max())
            heard = (torch.arange(longest) < frames[:, None]).long()
            return {"sound": torch.zeros(1, 1, 1).expand(len(items), longest, self._frozen.bins), "heard": heard}
        sound, mask = padded([item.read()["sound"].numpy() for item in items])
        return {"sound": torch.from_numpy(sound), "heard": torch.from_numpy(mask)}

    def features(self, batch: Batch) -> Tensor:
        return self.network.pooled(**batch)

    def loss(self, outputs: Tensor, targets: Sequence[int]) -> Tensor:
        return functional.cross_entropy(outputs, torch.tensor(targets))

    def metrics(self, outputs: Tensor, targets: Sequence[int]) -> dict[str, Any]:
        return classification_scores(outputs.argmax(dim=1).tolist(), targets, self.labels)

    def agrees(self, output: Tensor, body: Any, example: Example) -> bool:
        return bool(body[0]["label"] == self.labels[int(output.argmax())])

    def request(self, example: Example) -> object:
        return example.read("audio")

    def servable(self) -> Servable:
        frames = 2 * self._frozen.positions
        return Servable(
            module=self.network,
            inputs=INPUTS,
            outputs=("logits",),
            example=lambda rows, size: example_clips(self._frozen.bins, rows, size),
            sizes=((100,), (2,), (46,), (frames,)),
            axes={0: "batch", 1: "frames"},
            bounds={"frames": frames},
            architecture=self._architecture,
            labels=self.labels,
            limits={"seconds": int(self._hearing.seconds)},
            options={"hearing": self._hearing.as_dict(), "masked": True},
        )

    def extend(self, graphs: Mapping[str, ModelProto]) -> bool:
        return False  # the recogniser's graphs take whole windows of 30 s


def read_encoder(checkpoint: Path) -> Any:
    """transformers' Whisper encoder from a recogniser or a classifier; raises ``Unsupported`` for other networks."""
    if is_ctranslate2(checkpoint):
        return read_whisper(checkpoint).model.model.encoder
    kind, names = checkpoints.architectures(checkpoint)
    if kind != "whisper":
        message = f"Models of the type {kind[:64]} cannot be adapted to sounds in this release; Whisper can."
        raise Unsupported(message, code="not_adaptable", param="model")
    if any(name.endswith("ForAudioClassification") for name in names):
        classifier: Any = load_weights(AutoModelForAudioClassification, checkpoint)
        return classifier.encoder
    return read_whisper(checkpoint).model.model.encoder


def example_clips(bins: int, rows: int, size: Size) -> Batch:
    """Random spectra, the first row whole, the others padded behind an even number of frames."""
    (frames,) = size
    sound = torch.randn(rows, frames, bins, generator=seeded(rows * 10_007 + frames))
    heard = torch.ones(rows, frames, dtype=torch.long)
    for row in range(1, rows):
        kept = max(2, (frames - row * (frames // rows)) // 2 * 2)
        heard[row, kept:], sound[row, kept:] = 0, 0.0
    return {"sound": sound, "heard": heard}
