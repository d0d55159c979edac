"""wav2vec2 and HuBERT with their letters, and clips with their transcripts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from adapters.datasets import Example
from adapters.training.graphs_in_torch import GraphsInTorch
from adapters.training.layouts.ctc import read_ctc
from adapters.training.recipe import Batch, Defaults, Item, Servable
from adapters.training.sounds.classifier import SoundClassifier
from adapters.training.speech.ctc_network import TaughtCtc
from adapters.training.speech.recognition import SpeechRecognition, refused
from zoo.catalogue.entry import ModelEntry
from zoo.tasks.decoding.ctc import Letters
from zoo.tasks.decoding.greedy import log_softmax
from zoo.tasks.processors.hearing import Hearing, padded

TOGETHER = 4_000  # frames of one pass with gradients: 80 s


@dataclass(frozen=True, eq=False)
class Spelled:
    """A clip of so many ``frames``, and the classes (n,) of the letters that are said in it."""

    example: Example
    letters: Tensor
    frames: int


class CtcAdaptation(SpeechRecognition):
    """See ``recipe.Adaptation``. LoRA on the layers; the letters, one linear layer, are trained in full.

    Graves et al., "Connectionist Temporal Classification" (2006).
    """

    def __init__(self, checkpoint: Path, base: ModelEntry) -> None:
        super().__init__(checkpoint, base)
        self._imported = read_ctc(checkpoint)
        module: Any = self._imported.module
        self._model: Any = module.model
        self._hearing = Hearing.of(base.options["hearing"])
        self._spelling = Spelling(Letters.model_validate(base.options["ctc"]))
        self.network = TaughtCtc(self._model).eval()
        self.body: nn.Module = self.network.body
        self.head = self.network.head.requires_grad_(True)
        self._steps = self.network.steps()

    @property
    def defaults(self) -> Defaults:
        """LoRA on all layers, but not on the convolutions below them."""
        return Defaults(
            updates=300,
            epochs=(3, 20),
            batch_size=(8, 16),
            learning_rate=(5e-4, 5e-4),
            lora_rank=16,
            top=(len(self._steps) - 1.5) / len(self._steps),
            together=TOGETHER,
        )

    def steps(self) -> Sequence[nn.Module]:
        return self._steps

    def item(self, example: Example) -> Item:
        """The clip is decoded again for each pass: waveforms would fill the memory."""
        frames = self.network.encoder.vectors(len(self._sound(example)))
        return Item(length=frames, target=self._spelling(example, frames), load=self._loader(example))

    def _loader(self, example: Example) -> Callable[[], Batch]:
        return lambda: {"sound": torch.from_numpy(self._sound(example))}

    def _sound(self, example: Example) -> Any:
        return self._hearing.encode(example.read("audio")).values

    def collate(self, items: Sequence[Item], *, entered: bool = False) -> Batch:
        frames = torch.tensor([item.length for item in items])
        if entered:
            empty = torch.zeros(len(items), 1)
            return {"sound": empty, "frames": frames, "heard": empty}
        sound, heard = padded([item.read()["sound"].numpy() for item in items])
        return {"sound": torch.from_numpy(sound), "frames": frames, "heard": torch.from_numpy(heard)}

    def loss(self, outputs: Tensor, targets: Sequence[Spelled]) -> Tensor:
        """Mean over clips of a letter's share of the loss; a clip too short for its letters counts nothing."""
        lengths = torch.tensor([len(spelled.letters) for spelled in targets])
        losses = functional.ctc_loss(
            outputs.log_softmax(dim=2).transpose(0, 1),
            torch.cat([spelled.letters for spelled in targets]),
            torch.tensor([spelled.frames for spelled in targets]),
            lengths,
            blank=self._spelling.blank,
            reduction="none",
            zero_infinity=True,
        )
        return (losses / lengths).mean()

    def apart(self, answer: Any, row: Any, example: Example) -> float:
        """In log-probabilities of each frame's likeliest letter; where those differ, how far apart torch rates them."""
        trained, served = answer.frames, row.frames
        if trained.classes.shape != served.classes.shape:
            return float("inf")
        largest = float(np.abs(trained.chances - served.chances).max(initial=0.0))
        for place in np.flatnonzero(trained.classes != served.classes).tolist():
            chances = self._chances(example)[place]
            largest = max(largest, abs(float(chances[trained.classes[place]] - chances[served.classes[place]])))
        return largest

    def _chances(self, example: Example) -> Any:
        (logits,) = GraphsInTorch(self.servable())({"sound": self._sound(example)[None]})
        return log_softmax(np.asarray(logits[0], dtype=np.float32))

    def servable(self) -> Servable:
        setattr(self._model, self._model.base_model_prefix, self.network.network)
        return replace(self._imported, module=SoundClassifier(self._model, bins_first=False).eval())

    def extend(self, graphs: Any) -> bool:
        """The letters are trained, too, and do not stand in what LoRA changed."""
        return False


class Spelling:
    """Transcripts in the letters of a network: in the case that it knows, without signs that it does not write."""

    def __init__(self, letters: Letters) -> None:
        self.blank = letters.letters.index(letters.blank)
        places = {letter: place for place, letter in enumerate(letters.letters)}
        self._delimiter = places.get(letters.delimiter)
        self._places = {
            letter: place
            for letter, place in places.items()
            if len(letter) == 1 and place not in (self.blank, self._delimiter)
        }

    def __call__(self, example: Example, frames: int) -> Spelled:
        """Raises ``InvalidInput`` (``invalid_dataset``) for letters and digits that the network has no class for."""
        found: list[int] = []
        for word in example.values["text"].replace("’", "'").split():
            letters = [place for sign in word if (place := self._place(sign, example)) is not None]
            if letters and found and self._delimiter is not None:
                found.append(self._delimiter)
            found += letters
        if not found:
            raise refused(example, "the model has a sign for none of its transcript. Check the language.")
        return Spelled(example, torch.tensor(found), frames)

    def _place(self, sign: str, example: Example) -> int | None:
        for form in (sign, sign.upper(), sign.lower()):
            if form in self._places:
                return self._places[form]
        if sign.isalnum():
            raise refused(example, f"the model cannot write {sign!r} of its transcript. Write it in other letters.")
        return None
