"""How networks that answer something for each token of a text are served."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from adapters.training import checkpoint as checkpoints
from adapters.training.encoder import encoder_inputs, example_batch, text_sizes
from adapters.training.recipe import Servable
from adapters.training.spans.network import TokenNetwork
from zoo.errors import Unsupported
from zoo.tasks.processors.windows import WINDOWS

OUTPUT = "logits"


def token_servable(
    network: nn.Module,
    encoder: nn.Module,
    checkpoint: Path,
    *,
    max_tokens: int,
    labels: tuple[str, ...] = (),
    **options: Any,
) -> Servable:
    """``network`` takes what ``encoder``, of the checkpoint, takes, and answers (batch, tokens, numbers)."""
    config = checkpoints.load_config(checkpoint)
    inputs = encoder_inputs(encoder)
    return Servable(
        module=network,
        inputs=inputs,
        outputs=(OUTPUT,),
        example=lambda rows, size: example_batch(config.vocab_size, inputs, rows, size),
        sizes=text_sizes(max_tokens),
        axes={0: "batch", 1: "length"},
        bounds={"length": max_tokens},
        architecture=str(config.model_type),
        labels=labels,
        limits={"max_tokens": max_tokens, "windows": WINDOWS},
        options={"pad_token_id": int(config.pad_token_id or 0), **options},
        files={"tokenizer.json": checkpoint / "tokenizer.json"},
        body=getattr(encoder, "base_model", encoder),
    )


def adapted_servable(network: TokenNetwork, checkpoint: Path, **described: Any) -> Servable:
    """``network`` is what an adapter and a head in the checkpoint make of the body beside them."""
    checkpoints.ensure_tokenizer(checkpoint)
    frozen, limit = network.eval().requires_grad_(False), checkpoints.max_tokens(checkpoint)
    return token_servable(frozen, frozen.body, checkpoint, max_tokens=limit, **described)


def require_head(checkpoint: Path, ending: str, task: str) -> None:
    """Raise ``Unsupported`` for a checkpoint whose architecture's name does not end so."""
    _, names = checkpoints.architectures(checkpoint)
    if not any(name.endswith(ending) for name in names):
        message = f"The checkpoint has no head for {task}: import it as feature-extraction and adapt it."
        raise Unsupported(message, code="unsupported_task", param="task")
