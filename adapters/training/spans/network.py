"""A text encoder under one linear layer for each token, new or the one that a checkpoint has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from adapters.training.checkpoint import is_adapted, load_config
from adapters.training.encoder import encoder_width, load_body, load_weights
from adapters.training.layouts.adapted import read_layer


class TokenNetwork(nn.Module):
    """``body`` and ``head``; answers (batch, tokens, numbers)."""

    def __init__(self, body: nn.Module, head: nn.Linear) -> None:
        super().__init__()
        self.body = body
        self.head = head

    def forward(self, **named: Tensor) -> Tensor:
        """Logits, before any softmax."""
        logits: Tensor = self.head(self.body(**named).last_hidden_state)
        return logits


def new_head(checkpoint: Path, numbers: int) -> TokenNetwork:
    """The checkpoint's encoder, frozen, under a head that knows nothing yet."""
    return TokenNetwork(load_body(checkpoint), nn.Linear(encoder_width(load_config(checkpoint)), numbers))


def own_head(checkpoint: Path, kind: Any, name: str) -> TokenNetwork:
    """The checkpoint's encoder, frozen, under its own head: the layer ``name`` of transformers' class ``kind``, or
    the one beside an adapter."""
    if is_adapted(checkpoint):
        head = read_layer(checkpoint, encoder_width(load_config(checkpoint)))
        return TokenNetwork(load_body(checkpoint), head.requires_grad_(True))
    model: Any = load_weights(kind, checkpoint)
    return TokenNetwork(model.base_model.requires_grad_(False), model.get_submodule(name))
