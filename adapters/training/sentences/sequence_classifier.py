"""Classifiers of whole texts in hub layout, as they are served: one label, several, or a number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification

from adapters.training import checkpoint as checkpoints
from adapters.training.encoder import encoder_inputs, example_batch, load_weights, text_sizes
from adapters.training.recipe import Servable
from zoo.errors import Unsupported


class Logits(nn.Module):
    """A transformers classifier that answers (batch, labels)."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, **named: Tensor) -> Tensor:
        """Logits, before any softmax."""
        logits: Tensor = self.model(**named).logits
        return logits


def read_classifier(checkpoint: Path) -> Servable:
    """A checkpoint with its own classification head; raises ``Unsupported`` for one without, or of another kind."""
    config = checkpoints.load_config(checkpoint)
    kind, names = checkpoints.architectures(checkpoint)
    if not any(name.endswith("ForSequenceClassification") for name in names):
        raise Unsupported(
            "The checkpoint has no classification head: import it as feature-extraction and adapt it.",
            code="unsupported_task",
            param="task",
        )
    if getattr(config, "is_encoder_decoder", False):
        message = f"Classifiers with a decoder, such as this one of the type {kind[:64]}, are not served."
        raise Unsupported(message, code="unsupported_architecture")
    checkpoints.ensure_tokenizer(checkpoint)
    model = load_weights(AutoModelForSequenceClassification, checkpoint)
    limit = checkpoints.max_tokens(checkpoint)
    inputs = encoder_inputs(model)
    return Servable(
        module=Logits(model).eval().requires_grad_(False),
        inputs=inputs,
        outputs=("logits",),
        example=lambda rows, size: example_batch(config.vocab_size, inputs, rows, size),
        sizes=text_sizes(limit),
        axes={0: "batch", 1: "length"},
        bounds={"length": limit},
        architecture=str(config.model_type),
        labels=tuple(str(config.id2label[place]) for place in range(config.num_labels)),
        limits={"max_tokens": limit},
        options={"pad_token_id": int(config.pad_token_id or 0), "function_to_apply": _function(config)},
        files={"tokenizer.json": checkpoint / "tokenizer.json"},
    )


def _function(config: Any) -> str:
    """What transformers' pipeline makes of such a classifier's numbers."""
    problem = getattr(config, "problem_type", None)
    if problem == "regression":
        return "none"
    return "sigmoid" if problem == "multi_label_classification" or config.num_labels == 1 else "softmax"
