"""The Audio Spectrogram Transformer without its classifier, on spectra of one length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class PatchEncoder(nn.Module):
    """See ``sound_body.SoundNetwork``: what its own classifier sees, and the mean over all patches.

    Gong et al., "AST: Audio Spectrogram Transformer" (2021). Every spectrum is padded to the length that the positions
    of its patches were learnt for, so nothing is masked.
    """

    masked = False
    taps = ()

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.embeddings: nn.Module = model.embeddings
        self.layers: nn.ModuleList = model.layers
        self.layernorm: nn.LayerNorm = model.layernorm
        self.width = 2 * int(model.config.hidden_size)
        self._frames = int(model.config.max_length)
        self._patches = int(model.embeddings.position_embeddings.shape[1])

    def steps(self) -> Sequence[nn.Module]:
        """Embeddings and layers, each on what the one before gave."""
        return [self.embeddings, *self.layers]

    def vectors(self, values: int) -> int:
        """Always as many: patches and two tokens."""
        return self._patches

    def values(self, vectors: int) -> int:
        """Always as many frames."""
        return self._frames

    def forward(self, sound: Tensor, heard: Tensor | None = None) -> Tensor:
        """``sound`` (batch, frames, bins) to (batch, width)."""
        hidden = self.embeddings(sound)
        for layer in self.layers:
            hidden = layer(hidden)
        hidden = self.layernorm(hidden).float()
        parts = (hidden[:, :2].mean(dim=1), hidden[:, 2:].mean(dim=1))
        return torch.cat([functional.normalize(part, dim=-1) for part in parts], dim=-1)
