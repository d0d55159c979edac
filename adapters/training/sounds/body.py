"""A pre-trained network for sounds under any head: Whisper's encoder, wav2vec2, HuBERT, AST."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from transformers import AutoModel, AutoModelForAudioClassification

from adapters.training import checkpoint as checkpoints
from adapters.training.architectures.clip_encoder import ClipEncoder
from adapters.training.architectures.patch_encoder import PatchEncoder
from adapters.training.architectures.wave_encoder import WaveEncoder, fewest_samples
from adapters.training.encoder import load_weights
from adapters.training.layouts.adapted import merge
from adapters.training.layouts.ctranslate2 import is_ctranslate2
from adapters.training.layouts.whisper import read_whisper
from adapters.training.recipe import Batch, Servable, Size, seeded
from adapters.training.sounds.config import read_hearing, whisper_hearing
from zoo.errors import Unsupported
from zoo.tasks.processors.hearing import Hearing

INPUT, MASK = "sound", "heard"
# Samples: some of wav2vec2's lengths, the shortest among them; compared with torch on each.
WAVEFORMS: tuple[Size, ...] = ((16_000,), (400,), (4_321,), (50_000,))


class SoundNetwork(Protocol):
    """A module whose ``forward(sound, heard)`` gives pooled vectors (batch, ``width``).

    ``sound`` (batch, time, …) is prepared as its ``Hearing`` says; ``heard`` (batch, time) is 1 where a clip is and 0
    where it is padded to the longest, and left out where the network is not ``masked``. ``steps`` run one after the
    other; the outputs of those at ``taps`` are pooled too. ``vectors`` says how many a step makes of a number of values
    along time, ``values`` the fewest values for a number of vectors.
    """

    masked: bool
    width: int

    @property
    def taps(self) -> tuple[int, ...]:
        """Places among the steps, beside the last."""

    def steps(self) -> Sequence[nn.Module]:
        """The parts that run one after the other."""

    def vectors(self, values: int) -> int:
        """Of so many values."""

    def values(self, vectors: int) -> int:
        """For so many vectors."""


@dataclass(frozen=True)
class SoundBody:
    """A network, frozen and in evaluation mode, and how sounds are prepared for it."""

    network: SoundNetwork
    hearing: Hearing

    @property
    def module(self) -> nn.Module:
        """The network as torch sees it."""
        return cast(nn.Module, self.network)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of what it takes."""
        return (INPUT, MASK) if self.network.masked else (INPUT,)

    @property
    def longest(self) -> int:
        """Values along time of the longest sound."""
        hearing = self.hearing
        return round(hearing.seconds * (hearing.rate if hearing.kind == "waveform" else hearing.rate / hearing.hop))

    @property
    def sizes(self) -> tuple[Size, ...]:
        """Lengths to try it with, the first to trace."""
        if self.hearing.kind == "waveform":
            return WAVEFORMS
        if not self.network.masked:
            return ((self.hearing.frames,),)
        return tuple((frames,) for frames in dict.fromkeys((min(100, self.longest), 2, 46, self.longest)))

    @property
    def axis(self) -> str | None:
        """The name of the axis of time, where that may vary."""
        if not self.network.masked:
            return None
        return "samples" if self.hearing.kind == "waveform" else "frames"

    def empty(self, rows: int, length: int) -> Tensor:
        """Sounds that nobody will look at, without memory for them."""
        shape = (rows, length) if self.hearing.kind == "waveform" else (rows, length, self.hearing.bins)
        return torch.zeros((1,) * len(shape)).expand(shape)

    def example(self, rows: int, size: Size) -> Batch:
        """Random sounds, the first whole, the others padded; the same for the same rows and size."""
        sounds = example_sounds(self.hearing, rows, size)
        if not self.network.masked:
            return sounds
        (length,) = size
        heard = torch.ones(rows, length, dtype=torch.long)
        for row in range(1, rows):
            kept = self.network.values(max(1, self.network.vectors(length - row * (length // rows))))
            heard[row, kept:], sounds[INPUT][row, kept:] = 0, 0.0
        return {**sounds, MASK: heard}


def load_body(checkpoint: Path) -> SoundBody:
    """The network below the head of a classifier or a recogniser, with what an adapter beside it has learnt.

    Raises ``Unsupported`` (``not_adaptable``) for networks that are not known here, ``InvalidInput``
    (``invalid_checkpoint``) for files that contradict each other.
    """
    body = _read(checkpoint)
    if checkpoints.is_adapted(checkpoint):
        merge(body.module, checkpoint)
    return body


def _read(checkpoint: Path) -> SoundBody:
    kind = "whisper" if is_ctranslate2(checkpoint) else checkpoints.architectures(checkpoint)[0]
    if kind == "whisper":
        network = ClipEncoder(read_encoder(checkpoint))
        return _frozen(network, whisper_hearing(network.bins, network.positions, padded=False))
    if kind not in _NETWORKS:
        known = ", ".join(("whisper", *_NETWORKS))
        message = f"Models of the type {kind[:64]} cannot be adapted to sounds in this release; there are {known}."
        raise Unsupported(message, code="not_adaptable", param="model")
    config = checkpoints.load_config(checkpoint)
    if getattr(config, "add_adapter", False):
        message = "The checkpoint has layers behind its encoder (add_adapter), which cannot be adapted in this release."
        raise Unsupported(message, code="not_adaptable", param="model")
    hearing = read_hearing(checkpoint, config)
    model = load_weights(AutoModel, checkpoint)
    fold_parametrisations(model)
    return _frozen(_NETWORKS[kind](model), hearing)


def bare_body(checkpoint: Path) -> Servable:
    """The network alone, as adaptations to sounds run it; raises as ``load_body`` does."""
    body = load_body(checkpoint)
    return Servable(
        module=body.module,
        inputs=body.inputs,
        outputs=("vectors",),
        example=body.example,
        sizes=body.sizes,
        axes={0: "batch", 1: body.axis} if body.axis else {0: "batch"},
        bounds={body.axis: body.longest} if body.axis else {},
        least={"samples": body.network.values(2)} if body.hearing.kind == "waveform" else {},
        architecture="",
        body=body.module,
    )


def read_encoder(checkpoint: Path) -> Any:
    """transformers' Whisper encoder, from a recogniser or a classifier."""
    if not is_ctranslate2(checkpoint):
        _, names = checkpoints.architectures(checkpoint)
        if any(name.endswith("ForAudioClassification") for name in names):
            classifier: Any = load_weights(AutoModelForAudioClassification, checkpoint)
            return classifier.encoder
    return read_whisper(checkpoint).model.model.encoder


def least_samples(config: Any) -> int:
    """Of a waveform that a network of these convolutions makes two vectors of: one alone is another case to torch."""
    return fewest_samples(2, list(zip(config.conv_kernel, config.conv_stride, strict=True)))


def example_sounds(hearing: Hearing, rows: int, size: Size) -> Batch:
    """Random prepared sounds; the same for the same rows and size."""
    (length,) = size
    shape = (rows, length) if hearing.kind == "waveform" else (rows, length, hearing.bins)
    return {INPUT: torch.randn(shape, generator=seeded(rows * 10_007 + length))}


def fold_parametrisations(model: nn.Module) -> None:
    """Weights that are computed from others at each pass (the position convolution of wav2vec2) become plain ones."""
    for module in list(model.modules()):
        if parametrize.is_parametrized(module):
            for name in list(cast(nn.ModuleDict, module.parametrizations)):
                parametrize.remove_parametrizations(module, name)


def _frozen(network: nn.Module, hearing: Hearing) -> SoundBody:
    return SoundBody(cast(SoundNetwork, network.requires_grad_(False).eval()), hearing)


_NETWORKS: dict[str, type[WaveEncoder] | type[PatchEncoder]] = {
    "wav2vec2": WaveEncoder,
    "hubert": WaveEncoder,
    "audio-spectrogram-transformer": PatchEncoder,
}
