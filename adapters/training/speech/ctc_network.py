"""wav2vec2 and HuBERT on padded batches: logits of each frame, as if each clip were alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from adapters.training.architectures.clip_pooling import closed
from adapters.training.architectures.wave_encoder import WaveEncoder


class TaughtCtc(nn.Module):
    """``body`` is transformers' network, under whose names the adapter is saved; ``head`` are the letters on it."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.body: nn.Module = model.base_model
        self.head: nn.Linear = model.lm_head
        self._encoder = (WaveEncoder(model.base_model),)  # in a tuple: its weights are the body's

    @property
    def encoder(self) -> WaveEncoder:
        """The body's parts in their order."""
        return self._encoder[0]

    @property
    def network(self) -> nn.Module:
        """transformers' network, with LoRA beside its layers or without."""
        body: Any = self.body
        found: nn.Module = body.get_base_model() if hasattr(body, "get_base_model") else body
        return found

    def steps(self) -> Sequence[nn.Module]:
        """Front and layers, each on what the one before gave."""
        return self.encoder.steps()

    def forward(self, sound: Tensor, frames: Tensor, heard: Tensor) -> Tensor:
        """Logits (batch, time, letters) of ``sound`` (batch, samples); ``heard`` (batch, samples) is 1 where a clip is.

        ``frames`` (batch,): how many vectors each clip has.
        """
        encoder = self.encoder
        hidden = encoder.front(sound, heard)
        mask = (torch.arange(int(frames.max()))[None, :] < frames[:, None]).float()
        bias = closed(mask)
        for layer in encoder.layers:
            hidden = layer(hidden, attention_mask=bias)
        logits: Tensor = self.head(encoder.norm(hidden))
        return logits
