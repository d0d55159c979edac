"""Encoders of texts as they are served: a vector for each token, and how those become one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from adapters.training import checkpoint as checkpoints
from adapters.training.encoder import encoder_inputs, encoder_width, example_batch, load_body, text_sizes
from adapters.training.recipe import Servable

TOKEN_VECTORS = "token_vectors"


class TokenVectors(nn.Module):
    """An encoder that answers (batch, tokens, width)."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, **named: Tensor) -> Tensor:
        """Vectors of the last layer, after its norm."""
        hidden: Tensor = self.body(**named).last_hidden_state
        return hidden


@dataclass(frozen=True)
class SentenceEncoder:
    """A body, its configuration, and what the checkpoint's own modules make of its tokens' vectors.

    ``prompts`` is what is done to a text first, as options of a version.
    """

    body: nn.Module
    config: Any
    pooling: str
    normalise: bool
    max_tokens: int
    tokenizer: Path
    prompts: Mapping[str, Any]

    @property
    def pad_token_id(self) -> int:
        """What texts are filled up with."""
        return int(self.config.pad_token_id or 0)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the body's inputs."""
        return encoder_inputs(self.body)

    def servable(self, body: nn.Module, *, architecture: str, max_tokens: int) -> Servable:
        """``body``, the own one or that with changed weights, as it is to be exported."""
        inputs = self.inputs
        return Servable(
            module=TokenVectors(body).eval().requires_grad_(False),
            inputs=inputs,
            outputs=(TOKEN_VECTORS,),
            example=lambda rows, size: example_batch(self.config.vocab_size, inputs, rows, size),
            sizes=text_sizes(max_tokens),
            axes={0: "batch", 1: "length"},
            bounds={"length": max_tokens},
            architecture=architecture,
            limits={"max_tokens": max_tokens, "width": encoder_width(self.config)},
            options={
                "pooling": self.pooling,
                "normalise": self.normalise,
                "pad_token_id": self.pad_token_id,
                **self.prompts,
            },
            files={"tokenizer.json": self.tokenizer},
            body=body,
        )


def load_encoder(checkpoint: Path) -> SentenceEncoder:
    """The checkpoint's encoder without any head; raises ``Unsupported`` for modules that would be left out."""
    checkpoints.ensure_tokenizer(checkpoint)
    config = checkpoints.load_config(checkpoint)
    body = load_body(checkpoint)
    pooling, normalise = checkpoints.pooling(checkpoint)
    limit = checkpoints.max_tokens(checkpoint)
    tokenizer, prompts = checkpoint / "tokenizer.json", checkpoints.prompts(checkpoint)
    return SentenceEncoder(body, config, pooling, normalise, limit, tokenizer, prompts)


def read_encoder(checkpoint: Path) -> Servable:
    """The same as it is to be served."""
    encoder = load_encoder(checkpoint)
    kind = str(encoder.config.model_type)
    return encoder.servable(encoder.body, architecture=kind, max_tokens=encoder.max_tokens)


def pooled(hidden: Tensor, mask: Tensor, mode: str) -> Tensor:
    """(batch, tokens, width) and (batch, tokens) to (batch, width): ``mean`` or ``max`` of real tokens, or ``cls``."""
    if mode == "cls":
        return hidden[:, 0]
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    if mode == "max":
        return hidden.masked_fill(weights == 0, torch.finfo(hidden.dtype).min).amax(dim=1)
    return (hidden * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1e-9)
