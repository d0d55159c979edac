"""A text encoder under a pooled, linear head: what text classifiers that are adapted here are."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn
from torch.nn import functional

from adapters.training import checkpoint as checkpoints
from adapters.training.encoder import encoder_inputs, encoder_width, example_batch, load_body, text_sizes
from adapters.training.layouts.adapted import read_head
from adapters.training.recipe import Servable
from adapters.training.sentences.sentence_encoder import pooled
from zoo.catalogue.hub_layout import unfit


class PooledClassifier(nn.Module):
    """Encoder, pooling, unit length, one linear layer.

    The head sees exactly the vector that a probe on the frozen encoder sees, so the probe's solution can be its start
    (LP-FT: Kumar et al., "Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution", 2022).
    """

    def __init__(self, body: nn.Module, head: nn.Linear, *, pooling: str) -> None:
        super().__init__()
        self.body = body
        self.head = head
        self._pooling = pooling

    def pooled(self, **named: Tensor) -> Tensor:
        """(batch, width) of length one."""
        vectors = pooled(self.body(**named).last_hidden_state, named["attention_mask"], self._pooling)
        # In float32 under autocast too: bfloat16 has eight bits, and the head's weights are large.
        return functional.normalize(vectors.float(), dim=-1)

    def forward(self, **named: Tensor) -> Tensor:
        """(batch, labels)."""
        logits: Tensor = self.head(self.pooled(**named))
        return logits


def pooled_servable(
    network: PooledClassifier,
    encoder: nn.Module,
    checkpoint: Path,
    *,
    max_tokens: int,
    labels: tuple[str, ...],
    function: str,
) -> Servable:
    """``network`` takes what ``encoder``, of the checkpoint, takes; ``function`` makes scores of its outputs."""
    config = checkpoints.load_config(checkpoint)
    inputs = encoder_inputs(encoder)
    return Servable(
        module=network,
        inputs=inputs,
        outputs=("logits",),
        example=lambda rows, size: example_batch(config.vocab_size, inputs, rows, size),
        sizes=text_sizes(max_tokens),
        axes={0: "batch", 1: "length"},
        bounds={"length": max_tokens},
        architecture=str(config.model_type),
        labels=labels,
        limits={"max_tokens": max_tokens},
        options={"pad_token_id": int(config.pad_token_id or 0), "function_to_apply": function},
        files={"tokenizer.json": checkpoint / "tokenizer.json"},
    )


def read_adapted(checkpoint: Path) -> Servable:
    """An adapter and a head beside the body that they were learnt on; raises ``InvalidInput`` if they do not fit.

    One of its labels is right, or each by itself where ``config.json`` says so.
    """
    checkpoints.ensure_tokenizer(checkpoint)
    pooling, _ = checkpoints.pooling(checkpoint)
    body = load_body(checkpoint)
    head, labels = read_head(checkpoint, encoder_width(checkpoints.load_config(checkpoint)))
    return pooled_servable(
        PooledClassifier(body, head, pooling=pooling).eval(),
        body,
        checkpoint,
        max_tokens=checkpoints.max_tokens(checkpoint),
        labels=labels,
        function=_function(checkpoint),
    )


def _function(checkpoint: Path) -> str:
    written = checkpoints.read_json(checkpoint / "config.json").get("function_to_apply", "softmax")
    if written not in ("softmax", "sigmoid"):
        raise unfit("names no function_to_apply that is known")
    return str(written)
