"""wav2vec2 and HuBERT on padded batches: pooled vectors that do not change with the company a clip is in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from adapters.training.architectures.clip_pooling import PARTS, clip_vectors, closed

Stride = tuple[int, int]
"""Kernel and step of a convolution without padding."""


def fewest_samples(vectors: int, strides: Sequence[Stride]) -> int:
    """That convolutions make so many vectors of."""
    for kernel, step in reversed(strides):
        vectors = (vectors - 1) * step + kernel
    return vectors


class WaveFront(nn.Module):
    """Samples to the vectors that enter the first layer: convolutions, projection, position encodings.

    A layer that is normalised over time (the first one of wav2vec2-base) is normalised over the clip alone, and what is
    padded is zero where the convolution of the positions looks over the end of a clip: as if each clip were alone.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.convolutions: nn.ModuleList = model.feature_extractor.conv_layers
        self.projection: nn.Module = model.feature_projection
        self.positions: nn.Module = model.encoder.pos_conv_embed
        # Where layers are normalised before they run, the last norm follows them.
        stable = bool(model.config.do_stable_layer_norm)
        self.norm: nn.Module = nn.Identity() if stable else model.encoder.layer_norm

    def strides(self) -> list[Stride]:
        """Of the convolutions in order."""
        convolutions = [layer.get_submodule("conv") for layer in self.convolutions]
        return [(one.kernel_size[0], one.stride[0]) for one in convolutions if isinstance(one, nn.Conv1d)]

    def forward(self, sound: Tensor, heard: Tensor) -> Tensor:
        """(batch, samples) and (batch, samples) to (batch, time, width)."""
        hidden, count = sound.unsqueeze(1), heard.sum(dim=1)
        for layer, (kernel, step) in zip(self.convolutions, self.strides(), strict=True):
            count = (count - kernel) // step + 1
            if isinstance(norm := getattr(layer, "layer_norm", None), nn.GroupNorm):
                hidden = layer.get_submodule("conv")(hidden)
                hidden = layer.get_submodule("activation")(_normalised(norm, hidden, _mask(hidden.shape[2], count)))
            else:
                hidden = layer(hidden)
        projected = self.projection(hidden.transpose(1, 2))
        hidden = projected[0] if isinstance(projected, tuple) else projected
        hidden = hidden * _mask(hidden.shape[1], count).unsqueeze(-1)
        answer: Tensor = self.norm(hidden + self.positions(hidden))
        return answer


class WaveEncoder(nn.Module):
    """See ``sound_body.SoundNetwork``: ``clip_vectors`` of the last layer and the one in the middle.

    Baevski et al., "wav2vec 2.0" (2020); Hsu et al., "HuBERT" (2021). What a clip says is best read in the middle of
    networks that were trained on sounds alone (Pasad et al., "Layer-wise analysis of a self-supervised speech
    representation model", 2021).
    """

    masked = True

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.front = WaveFront(model)
        self.layers: nn.ModuleList = model.encoder.layers
        stable = bool(model.config.do_stable_layer_norm)
        self.norm: nn.Module = model.encoder.layer_norm if stable else nn.Identity()
        self.width = PARTS * int(model.config.hidden_size)

    def steps(self) -> Sequence[nn.Module]:
        """Front and layers, each on what the one before gave."""
        return [self.front, *self.layers]

    @property
    def taps(self) -> tuple[int, ...]:
        """The place among ``steps`` of the layer in the middle."""
        return ((len(self.layers) + 1) // 2,)

    def vectors(self, values: int) -> int:
        """How many come of so many samples."""
        for kernel, step in self.front.strides():
            values = (values - kernel) // step + 1
        return values

    def values(self, vectors: int) -> int:
        """The fewest samples that make so many vectors."""
        return fewest_samples(vectors, self.front.strides())

    def forward(self, sound: Tensor, heard: Tensor) -> Tensor:
        """``sound`` (batch, samples), ``heard`` (batch, samples) 1 where the clip is, 0 where padded."""
        hidden = self.front(sound, heard)
        count, time = heard.sum(dim=1), heard.shape[1]
        for kernel, step in self.front.strides():
            count, time = (count - kernel) // step + 1, (time - kernel) // step + 1
        mask = _mask(time, count)
        tapped, bias = hidden, closed(mask)
        for place, layer in enumerate(self.layers, start=1):
            hidden = layer(hidden, attention_mask=bias)
            if place in self.taps:  # standardised as a last layer is
                tapped = functional.layer_norm(hidden, hidden.shape[-1:])
        return clip_vectors(self.norm(hidden), tapped, mask)


def _mask(time: int, count: Tensor) -> Tensor:
    """(batch, time) 1.0 at the first ``count`` (batch,) moments."""
    return (torch.arange(time)[None, :] < count[:, None]).float()


def _normalised(norm: nn.GroupNorm, hidden: Tensor, mask: Tensor) -> Tensor:
    """Each channel of (batch, channels, time) by its own mean and deviation over the moments of ``mask``."""
    weights = (mask / mask.sum(dim=1, keepdim=True)).unsqueeze(1)
    mean = (hidden * weights).sum(dim=2, keepdim=True)
    variance = ((hidden - mean).square() * weights).sum(dim=2, keepdim=True)
    scaled = (hidden - mean) * (variance + norm.eps).rsqrt()
    return scaled * norm.weight[:, None] + norm.bias[:, None]
