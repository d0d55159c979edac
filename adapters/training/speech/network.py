"""Whisper with its transcripts before it: from what is heard and what was written so far to what should come next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from adapters.training.architectures.stacks import FORBIDDEN


class WhisperFront(nn.Module):
    """Spectra to the vectors that enter the first layer of the encoder: two convolutions, positions as they are served.

    See ``architectures.whisper_graphs.WhisperEncoder`` for ``sources`` and ``places``.
    """

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.conv1: nn.Conv1d = encoder.conv1
        self.conv2: nn.Conv1d = encoder.conv2
        self.embed_positions: nn.Embedding = encoder.embed_positions

    def forward(self, features: Tensor, sources: Tensor, places: Tensor) -> Tensor:
        """(batch, bins, frames) to (batch, positions, width)."""
        heard = functional.gelu(self.conv2(functional.gelu(self.conv1(features)))).transpose(1, 2)
        hidden = heard.gather(1, sources[:, :, None].expand(-1, -1, heard.shape[2]))
        return hidden + self.embed_positions.weight[places]


class TaughtWhisper(nn.Module):
    """Teacher forcing: logits of all tokens that are to be learnt, each from the true ones before it.

    ``body`` is transformers' recogniser, under whose names the adapter is saved; there is no new head. What is computed
    is what the served graphs compute, silence at few positions included, by calling transformers' own layers.
    """

    def __init__(self, body: Any) -> None:
        super().__init__()
        self.body = body
        self.head = nn.Identity()
        self._front = (WhisperFront(body.model.encoder),)  # in a tuple: its weights are the body's

    def steps(self) -> Sequence[nn.Module]:
        """Front, layers of the encoder, layers of the decoder, each on what the one before gave."""
        model = self.whisper.model
        return [*self._front, *model.encoder.layers, *model.decoder.layers]

    @property
    def whisper(self) -> Any:
        """transformers' recogniser, with LoRA beside its layers or without."""
        body: Any = self.body
        return body.get_base_model() if hasattr(body, "get_base_model") else body

    def forward(
        self, features: Tensor, sources: Tensor, places: Tensor, weights: Tensor, tokens: Tensor, taught: Tensor
    ) -> Tensor:
        """Logits (taught, vocabulary) at the places of ``tokens`` (batch, length) where ``taught`` is true, row by row.

        The other inputs are those of the served encoder.
        """
        model = self.whisper.model
        hidden = self._front[0](features, sources, places)
        bias = weights[:, None, None, :]
        for layer in model.encoder.layers:
            hidden = layer(hidden, bias)
        heard = model.encoder.layer_norm(hidden)
        decoder, length = model.decoder, tokens.shape[1]
        hidden = decoder.embed_tokens(tokens) + decoder.embed_positions.weight[:length]
        later = torch.full((1, 1, length, length), FORBIDDEN).triu(1)
        for layer in decoder.layers:
            hidden = layer(
                hidden,
                attention_mask=later,
                encoder_hidden_states=heard,
                encoder_attention_mask=bias,
                use_cache=False,
            )
        logits: Tensor = self.whisper.proj_out(decoder.layer_norm(hidden)[taught])
        return logits
