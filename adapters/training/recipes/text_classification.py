"""text-classification: imports sequence classifiers as they are; adapts any text encoder with a pooled, linear head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from onnx import ModelProto
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoModel, AutoModelForSequenceClassification

from adapters.datasets import Example
from adapters.jobs import Hyperparameters
from adapters.training import checkpoint as checkpoints
from adapters.training.classification import Classification
from adapters.training.encoder import encoder_inputs, encoder_width, example_batch, load_weights, text_sizes
from adapters.training.graft import add_pooled_head
from adapters.training.lora import blocks
from adapters.training.recipe import Batch, Defaults, Item, Servable
from zoo.catalogue.entry import ModelEntry
from zoo.engine.predictor import MODEL_FILE
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
        hidden = self.body(**named).last_hidden_state
        mask = named["attention_mask"].unsqueeze(-1).to(hidden.dtype)
        if self._pooling == "cls":
            vectors = hidden[:, 0]
        elif self._pooling == "max":
            vectors = hidden.masked_fill(mask == 0, torch.finfo(hidden.dtype).min).amax(dim=1)
        else:
            vectors = (hidden * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1e-9)
        # In float32 under autocast too: bfloat16 has eight bits, and the head's weights are large.
        return functional.normalize(vectors.float(), dim=-1)

    def forward(self, **named: Tensor) -> Tensor:
        """(batch, labels)."""
        logits: Tensor = self.head(self.pooled(**named))
        return logits


class TextAdaptation(Classification):
    """A text encoder and the labels of one data set; see ``recipe.Adaptation``."""

    taps = ()
    # A few hundred updates are needed however small the data is (Zhang et al., few-sample BERT, 2021). Of the rates
    # 5e-4, 1e-3, 2e-3 and 4e-3 this was the best or near it on 240 to 1,800 rows of five data sets (MiniLM, upper half,
    # rank 8).
    defaults = Defaults(
        updates=160,
        epochs=(3, 10),
        batch_size=(16, 32),
        learning_rate=(1e-3, 1e-3),
        lora_rank=8,
        top=0.5,
    )

    def __init__(self, checkpoint: Path, base: ModelEntry, labels: tuple[str, ...], *, max_tokens: int) -> None:
        super().__init__(labels)
        self._config = checkpoints.load_config(checkpoint)
        self._pooling, _ = checkpoints.pooling(checkpoint)
        self.max_tokens = max_tokens
        self._pad = int(self._config.pad_token_id or 0)
        self._tokenizer_file = checkpoint / "tokenizer.json"
        self._tokenizer = Tokenizer.from_file(str(self._tokenizer_file))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_tokens)
        self.body = load_weights(AutoModel, checkpoint).requires_grad_(False)
        self._inputs = encoder_inputs(self.body)
        self.head = nn.Linear(encoder_width(self._config), len(labels))
        self.network = PooledClassifier(self.body, self.head, pooling=self._pooling).eval()
        self._architecture = base.architecture

    def steps(self) -> Sequence[nn.Module]:
        return list(blocks(self.body)[1])

    def encode(self, examples: Sequence[Example], *, views: int = 1) -> list[Item]:
        encodings = self._tokenizer.encode_batch([example.values["text"] for example in examples])
        return [
            Item(
                length=len(one.ids),
                target=self.target(example),
                tensors={"input_ids": torch.tensor(one.ids), "token_type_ids": torch.tensor(one.type_ids)},
            )
            for example, one in zip(examples, encodings, strict=True)
        ]

    def collate(self, items: Sequence[Item], *, entered: bool = False) -> Batch:
        shape = (len(items), max(item.length for item in items))
        batch = {
            "input_ids": torch.full(shape, self._pad),
            "attention_mask": torch.zeros(shape, dtype=torch.long),
            "token_type_ids": torch.zeros(shape, dtype=torch.long),
        }
        for row, item in enumerate(items):
            batch["attention_mask"][row, : item.length] = 1
            for name, values in item.tensors.items():
                batch[name][row, : item.length] = values
        return {name: batch[name] for name in self._inputs}

    def features(self, batch: Batch) -> Tensor:
        vectors: Tensor = self.network.pooled(**batch)
        return vectors

    def agrees(self, output: Tensor, body: Any, example: Example) -> bool:
        return super().agrees(output, body[0], example)  # one text is answered as a list of one

    def request(self, example: Example) -> object:
        return example.values["text"]

    def servable(self) -> Servable:
        return Servable(
            module=self.network,
            inputs=self._inputs,
            outputs=("logits",),
            example=lambda rows, size: example_batch(self._config.vocab_size, self._inputs, rows, size),
            sizes=text_sizes(self.max_tokens),
            axes={0: "batch", 1: "length"},
            bounds={"length": self.max_tokens},
            architecture=self._architecture,
            labels=self.labels,
            limits={"max_tokens": self.max_tokens},
            options={"pad_token_id": self._pad},
            files={"tokenizer.json": self._tokenizer_file},
        )

    def extend(self, graphs: Mapping[str, ModelProto]) -> bool:
        return add_pooled_head(graphs[MODEL_FILE], self.head, hidden="token_vectors", pooling=self._pooling)


def load(checkpoint: Path) -> Servable:
    """A checkpoint with its own classification head."""
    config = checkpoints.load_config(checkpoint)
    _, names = checkpoints.architectures(checkpoint)
    if not any(name.endswith("ForSequenceClassification") for name in names):
        raise Unsupported(
            "The checkpoint has no classification head: import it as feature-extraction and adapt it.",
            code="unsupported_task",
            param="task",
        )
    if getattr(config, "problem_type", None) == "regression" or config.num_labels < 2:
        raise Unsupported(
            "The checkpoint is a regression model, which this release cannot serve.",
            code="unsupported_task",
            param="task",
        )
    checkpoints.ensure_tokenizer(checkpoint)
    model = load_weights(AutoModelForSequenceClassification, checkpoint)
    limit = checkpoints.max_tokens(checkpoint)
    inputs = encoder_inputs(model)
    multi_label = getattr(config, "problem_type", None) == "multi_label_classification"
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
        options={
            "pad_token_id": int(config.pad_token_id or 0),
            "function_to_apply": "sigmoid" if multi_label else "softmax",
        },
        files={"tokenizer.json": checkpoint / "tokenizer.json"},
    )


def adapt(
    checkpoint: Path, base: ModelEntry, examples: Sequence[Example], *, labels: tuple[str, ...], asked: Hyperparameters
) -> TextAdaptation:
    """Any imported text encoder under a new head."""
    limit = base.limits.get("max_tokens", 0)
    wanted = limit if asked.max_tokens == "auto" else min(asked.max_tokens, limit)
    return TextAdaptation(checkpoint, base, labels, max_tokens=wanted)
