"""A pre-trained network for sounds under a new linear head, and the classes of one data set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from onnx import ModelProto
from torch import Tensor, nn

from adapters.datasets import Example
from adapters.training.checkpoint import read_json
from adapters.training.classification import Classification
from adapters.training.layouts.adapted import read_head
from adapters.training.recipe import Batch, Defaults, Item, Servable
from adapters.training.sounds.body import INPUT, MASK, SoundBody, load_body
from zoo.engine.head import Readout
from zoo.tasks.processors.hearing import padded


class ClipClassifier(nn.Module):
    """A body and a linear head, which sees what the probe on the frozen body saw, and starts as that."""

    def __init__(self, body: nn.Module, head: nn.Linear) -> None:
        super().__init__()
        self.body = body
        self.head = head

    def pooled(self, sound: Tensor, heard: Tensor | None = None) -> Tensor:
        """(batch, width)."""
        vectors: Tensor = self.body(sound, heard)
        return vectors

    def forward(self, sound: Tensor, heard: Tensor | None = None) -> Tensor:
        """Logits (batch, labels), before any softmax."""
        logits: Tensor = self.head(self.pooled(sound, heard))
        return logits


class SoundAdaptation(Classification):
    """See ``recipe.Adaptation``. Clips are heard at their own length where the network can do so."""

    max_tokens = None
    readout = Readout()
    # As for texts, whose encoders are of this kind: a few hundred updates, LoRA on the upper half.
    defaults = Defaults(
        updates=160,
        epochs=(3, 10),
        batch_size=(16, 32),
        learning_rate=(5e-4, 5e-4),
        lora_rank=8,
        top=0.5,
        refit_below=5000,  # of 2,700 clips what was held out was worth the last error of 300 others
    )

    def __init__(self, body: SoundBody, labels: tuple[str, ...], *, architecture: str) -> None:
        super().__init__(labels)
        self._frozen = body
        self.body: nn.Module = body.module
        self.head = nn.Linear(body.network.width, len(labels))
        self.network = ClipClassifier(self.body, self.head).eval()
        self._architecture = architecture

    @property
    def taps(self) -> tuple[int, ...]:
        return self._frozen.network.taps

    def steps(self) -> Sequence[nn.Module]:
        return self._frozen.network.steps()

    def encode(self, examples: Sequence[Example], *, views: int = 1) -> list[Item]:
        return [self._item(example) for example in examples for _ in range(views)]

    def _item(self, example: Example) -> Item:
        """Its length takes decoding: the clip is decoded again for each pass, as all of them would fill the memory."""
        values = len(self._frozen.hearing.encode(example.read("audio")).values)
        length = self._frozen.network.vectors(values)
        return Item(length=length, target=self.target(example), load=self._loader(example))

    def _loader(self, example: Example) -> Callable[[], Batch]:
        def load() -> Batch:
            return {INPUT: torch.from_numpy(self._frozen.hearing.encode(example.read("audio")).values)}

        return load

    def collate(self, items: Sequence[Item], *, entered: bool = False) -> Batch:
        if entered:  # what enters the layers is put in the place of what the sounds would give
            lengths = torch.tensor([self._frozen.network.values(item.length) for item in items])
            longest = int(lengths.max())
            heard = (torch.arange(longest) < lengths[:, None]).long()
            return self._batch(self._frozen.empty(len(items), longest), heard)
        sounds, mask = padded([item.read()[INPUT].numpy() for item in items])
        return self._batch(torch.from_numpy(sounds), torch.from_numpy(mask))

    def _batch(self, sounds: Tensor, heard: Tensor) -> Batch:
        named = {INPUT: sounds, MASK: heard}
        return {name: named[name] for name in self._frozen.inputs}

    def features(self, batch: Batch) -> Tensor:
        return self.network.pooled(**batch)

    def request(self, example: Example) -> object:
        return example.read("audio")

    def servable(self) -> Servable:
        return classifier(self.network, self._frozen, self.labels, architecture=self._architecture)

    def extend(self, graphs: Mapping[str, ModelProto]) -> bool:
        return False  # a recogniser's graphs take whole windows, and a classifier's ends in another head


def read_adapted(checkpoint: Path) -> Servable:
    """An adapter and a head beside the body that they were learnt on; raises as ``load_body`` and ``read_head`` do."""
    body = load_body(checkpoint)
    head, labels = read_head(checkpoint, body.network.width)
    architecture = str(read_json(checkpoint / "config.json").get("architecture"))
    return classifier(ClipClassifier(body.module, head).eval(), body, labels, architecture=architecture)


def classifier(network: ClipClassifier, body: SoundBody, labels: tuple[str, ...], *, architecture: str) -> Servable:
    """How a head on a body is served; ``network`` holds both."""
    return Servable(
        module=network,
        inputs=body.inputs,
        outputs=("logits",),
        example=body.example,
        sizes=body.sizes,
        axes={0: "batch", 1: body.axis} if body.axis else {0: "batch"},
        bounds={body.axis: body.longest} if body.axis else {},
        least={"samples": body.network.values(2)} if body.hearing.kind == "waveform" else {},
        architecture=architecture,
        labels=labels,
        limits={"seconds": int(body.hearing.seconds)},
        options={"hearing": body.hearing.as_dict(), "masked": body.network.masked},
    )
