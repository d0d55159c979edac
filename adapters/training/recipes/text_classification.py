"""text-classification: imports sequence classifiers as they are; adapts any text encoder with a pooled, linear head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from onnx import ModelProto
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification

from adapters.datasets import Example
from adapters.jobs import Hyperparameters
from adapters.training import checkpoint as checkpoints
from adapters.training.encoder import encoder_inputs, encoder_width, load_body
from adapters.training.form import Form, first_token_head
from adapters.training.graft import add_pooled_head
from adapters.training.judging import compare_rows, judge_rows
from adapters.training.lora import blocks
from adapters.training.recipe import Batch, Defaults, Item, Servable
from adapters.training.sentences.aims import Aim, ScoreHead, aim_of
from adapters.training.sentences.pooled_classifier import PooledClassifier, pooled_servable, read_adapted
from adapters.training.sentences.sentence_encoder import TOKEN_VECTORS
from adapters.training.sentences.sequence_classifier import Logits, read_classifier
from zoo.catalogue.entry import ModelEntry
from zoo.engine.head import Readout
from zoo.engine.predictor import MODEL_FILE
from zoo.tasks.processors.text import beginning

ROLES = ("text", "text_pair")
FORM = Form(AutoModelForSequenceClassification, Logits, first_token_head)


class TextAdaptation:
    """A text encoder and what one data set says of texts, or of two texts together; see ``recipe.Adaptation``."""

    probes = True
    knows = False
    judge = judge_rows
    compare = compare_rows
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
        plain_attention=True,
    )

    def __init__(self, checkpoint: Path, aim: Aim, *, max_tokens: int) -> None:
        self._aim = aim
        self.labels, self.headline = aim.labels, aim.headline
        self._checkpoint = checkpoint
        config = checkpoints.load_config(checkpoint)
        self._pooling, _ = checkpoints.pooling(checkpoint)
        self.max_tokens = max_tokens
        self._pad = int(config.pad_token_id or 0)
        self._tokenizer = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_tokens)
        self.body = load_body(checkpoint)
        self._inputs = encoder_inputs(self.body)
        self.head = aim.new_head(encoder_width(config))
        self.network = PooledClassifier(self.body, self.head, pooling=self._pooling).eval()

    @property
    def readout(self) -> Readout:
        return Readout.of({"pooling": self._pooling, "unit": True})

    def steps(self) -> Sequence[nn.Module]:
        return list(blocks(self.body)[1])

    def encode(self, examples: Sequence[Example], *, views: int = 1) -> list[Item]:
        texts = [self._texts(example) for example in examples]
        encodings = self._tokenizer.encode_batch([one if len(one) > 1 else one[0] for one in texts])
        return [
            Item(
                length=len(one.ids),
                target=self._aim.target(example),
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

    def fit_head(self, head: nn.Module, features: Tensor, targets: Sequence[Any], *, views: int) -> None:
        self._aim.fit_head(head, features, targets, views=views)

    def loss(self, outputs: Tensor, targets: Sequence[Any]) -> Tensor:
        return self._aim.loss(outputs, targets)

    def metrics(self, outputs: Tensor, targets: Sequence[Any]) -> dict[str, Any]:
        return self._aim.metrics(outputs, targets)

    def agrees(self, output: Tensor, body: Any, example: Example) -> bool:
        return self._aim.agrees(output, body[0], example)  # one text is answered as a list of one

    def request(self, example: Example) -> object:
        """A text, or an object of two."""
        texts = self._texts(example)
        return dict(zip(ROLES, texts, strict=True)) if len(texts) > 1 else texts[0]

    def _texts(self, example: Example) -> tuple[str, ...]:
        given = [example.values[role] for role in ROLES if role in example.values]
        return tuple(beginning(text, max_tokens=self.max_tokens) for text in given)

    def servable(self) -> Servable:
        return pooled_servable(
            self.network,
            self.body,
            self._checkpoint,
            max_tokens=self.max_tokens,
            labels=self.labels,
            function=self._aim.function,
        )

    def extend(self, graphs: Mapping[str, ModelProto]) -> bool:
        head = self.head.plain() if isinstance(self.head, ScoreHead) else self.head
        return add_pooled_head(graphs[MODEL_FILE], head, hidden=TOKEN_VECTORS, pooling=self._pooling)


def load(checkpoint: Path) -> Servable:
    """A checkpoint with its own classification head; raises ``Unsupported`` for one without."""
    return read_adapted(checkpoint) if checkpoints.is_adapted(checkpoint) else read_classifier(checkpoint)


def adapt(
    checkpoint: Path, base: ModelEntry, examples: Sequence[Example], *, labels: tuple[str, ...], asked: Hyperparameters
) -> TextAdaptation:
    """Any imported text encoder under a new head."""
    limit = base.limits.get("max_tokens", 0)
    wanted = limit if asked.max_tokens == "auto" else min(asked.max_tokens, limit)
    return TextAdaptation(checkpoint, aim_of(examples, labels), max_tokens=wanted)
