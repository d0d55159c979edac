"""feature-extraction: text encoders that answer with one vector for each token; pooled where they are served."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn
from transformers import AutoModel

from adapters.training import checkpoint as checkpoints
from adapters.training.encoder import encoder_inputs, encoder_width, example_batch, load_weights, text_sizes
from adapters.training.recipe import Servable


class TokenVectors(nn.Module):
    """An encoder that answers (batch, tokens, width)."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, **named: Tensor) -> Tensor:
        """Vectors of the last layer, after its norm."""
        hidden: Tensor = self.body(**named).last_hidden_state
        return hidden


def load(checkpoint: Path) -> Servable:
    """The checkpoint's encoder without any head."""
    checkpoints.ensure_tokenizer(checkpoint)
    config = checkpoints.load_config(checkpoint)
    body = load_weights(AutoModel, checkpoint)
    pooling, normalise = checkpoints.pooling(checkpoint)
    limit = checkpoints.max_tokens(checkpoint)
    inputs = encoder_inputs(body)
    return Servable(
        module=TokenVectors(body).eval().requires_grad_(False),
        inputs=inputs,
        outputs=("token_vectors",),
        example=lambda rows, size: example_batch(config.vocab_size, inputs, rows, size),
        sizes=text_sizes(limit),
        axes={0: "batch", 1: "length"},
        bounds={"length": limit},
        architecture=str(config.model_type),
        limits={
            "max_tokens": limit,
            "width": encoder_width(config),
        },
        options={"pooling": pooling, "normalise": normalise, "pad_token_id": int(config.pad_token_id or 0)},
        files={"tokenizer.json": checkpoint / "tokenizer.json"},
    )
