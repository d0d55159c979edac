"""Whisper's encoder on clips of any length: pooled vectors, and no silence up to 30 s that costs as much as speech."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from adapters.training.architectures.clip_pooling import PARTS, clip_vectors, closed


class Front(nn.Module):
    """Spectra to the vectors that enter the first layer: two convolutions, every other frame, position encodings."""

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.conv1: nn.Conv1d = encoder.conv1
        self.conv2: nn.Conv1d = encoder.conv2
        self.embed_positions: nn.Embedding = encoder.embed_positions

    def forward(self, sound: Tensor) -> Tensor:
        """(batch, frames, bins) to (batch, frames / 2, width)."""
        hidden = functional.gelu(self.conv1(sound.transpose(1, 2)))
        hidden = functional.gelu(self.conv2(hidden)).transpose(1, 2)
        return hidden + self.embed_positions.weight[: hidden.shape[1]]


class ClipEncoder(nn.Module):
    """See ``sound_body.SoundNetwork``: ``clip_vectors`` of the last layer and the one before it.

    The encoder of Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision" (2022), was trained on
    30 s windows; it hears a clip alone nearly as well, and a word of a second costs a thirtieth of that.
    Takes an even number of frames, for which padding changes nothing: the second convolution never looks over the end.
    """

    masked = True

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.front = Front(encoder)
        self.layers: nn.ModuleList = encoder.layers
        self.layer_norm: nn.LayerNorm = encoder.layer_norm
        self.bins = int(encoder.conv1.in_channels)
        self.positions = int(encoder.embed_positions.num_embeddings)
        self.width = PARTS * int(encoder.layer_norm.normalized_shape[0])

    def steps(self) -> Sequence[nn.Module]:
        """Front and layers, each on what the one before gave."""
        return [self.front, *self.layers]

    @property
    def taps(self) -> tuple[int, ...]:
        """The place among ``steps`` of the layer before the last."""
        return (max(0, len(self.layers) - 1),)

    def vectors(self, values: int) -> int:
        """One for two frames."""
        return values // 2

    def values(self, vectors: int) -> int:
        """Frames that make so many vectors."""
        return 2 * vectors

    def forward(self, sound: Tensor, heard: Tensor) -> Tensor:
        """``sound`` (batch, frames, bins) log-mel, ``heard`` (batch, frames) 1 where the clip is, 0 where padded."""
        hidden = self.front(sound)
        mask = heard[:, ::2].to(self.layer_norm.weight.dtype)
        tapped, bias = hidden, closed(mask)
        for place, layer in enumerate(self.layers, start=1):
            hidden = layer(hidden, bias)
            if place in self.taps:  # standardised as a last layer is
                tapped = functional.layer_norm(hidden, hidden.shape[-1:])
        return clip_vectors(self.layer_norm(hidden), tapped, mask)
