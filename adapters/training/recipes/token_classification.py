"""token-classification: imports taggers as they are; adapts text encoders, and taggers of these kinds, to entities."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoModelForTokenClassification

from adapters.datasets import Example
from adapters.jobs import Hyperparameters
from adapters.training import checkpoint as checkpoints
from adapters.training.encoder import load_weights
from adapters.training.form import Form, token_head
from adapters.training.layouts.adapted import read_head
from adapters.training.recipe import Defaults, Item, Servable
from adapters.training.spans.adaptation import Lesson, Logits, SpanAdaptation
from adapters.training.spans.network import TokenNetwork, new_head, own_head
from adapters.training.spans.scores import Found, entity_scores
from adapters.training.spans.servable import adapted_servable, require_head, token_servable
from adapters.training.spans.tagging import IGNORED, tags_of, wanted
from zoo.catalogue.entry import ModelEntry
from zoo.tasks.decoding.entities import Pieces, Strategy
from zoo.tasks.processors.windows import EncodedWindows
from zoo.tasks.token_classification import read

TASK = "token-classification"
STRATEGY: Strategy = "first"  # what is learnt: the label of each word's first token


class TokenLogits(nn.Module):
    """A transformers tagger that answers (batch, tokens, labels)."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, **named: Tensor) -> Tensor:
        """Logits, before any softmax."""
        logits: Tensor = self.model(**named).logits
        return logits


FORM = Form(AutoModelForTokenClassification, TokenLogits, token_head)


class EntityAdaptation(SpanAdaptation):
    """A text encoder and the kinds of entities of one data set; see ``recipe.Adaptation``."""

    headline = ("f1", "precision", "recall")
    # MiniLM, 400 tweets, F1 on 200 others: .57 with LoRA on the upper half, .64 on all layers. F1 on 400 after 800
    # sentences of wikineural_en, seconds of one core: batches of 16 for two epochs .61 in 75, for three .65; batches of
    # 8 for two .68 in 74; of 4 for two .69 in 90, for one .60 in 46. Beginning with a linear probe for a head, .60.
    defaults = Defaults(
        updates=200,
        epochs=(2, 8),
        batch_size=(8, 8),
        learning_rate=(2e-3, 2e-3),
        lora_rank=8,
        top=1.0,
        together=4096,
        plain_attention=True,
    )

    def __init__(
        self, checkpoint: Path, network: TokenNetwork, *, labels: tuple[str, ...], max_tokens: int, knows: bool
    ) -> None:
        super().__init__(checkpoint, network, max_tokens=max_tokens, knows=knows)
        self.labels = labels
        self._places = {label: place for place, label in enumerate(labels)}
        self._pieces = Pieces(self._windows.tokenizer)

    def encode(self, examples: Sequence[Example], *, views: int = 1) -> list[Item]:
        return [self._encoded(example) for example in examples]

    def _encoded(self, example: Example) -> Item:
        with self.reading(example):
            text = self._windows.of_text(example.values["text"])
        targets = [wanted(window, text.text, example.spans, self._places, self._pieces) for window in text.windows]
        return self.item(text, targets, example.spans)

    def loss(self, outputs: Tensor, targets: Sequence[Lesson]) -> Tensor:
        """Cross-entropy, the mean over all words."""
        wanted_ = torch.full(outputs.shape[:2], IGNORED)
        for row, target in enumerate(targets):
            wanted_[row, : len(target.wanted)] = target.wanted
        summed = functional.cross_entropy(
            outputs.flatten(0, 1), wanted_.flatten(), ignore_index=IGNORED, reduction="sum"
        )
        return summed / max(1, int((wanted_ != IGNORED).sum()))

    def figures(self, answers: Sequence[Logits], items: Sequence[Item]) -> dict[str, Any]:
        found = [self._found(answer, item.target.text) for answer, item in zip(answers, items, strict=True)]
        true = [[(span.label, span.start, span.end) for span in item.target.spans] for item in items]
        return entity_scores(found, true)

    def agrees(self, answer: Logits, body: Any, example: Example) -> bool:
        text = self._windows.of_text(example.values["text"])
        return _entities(body, text.text) == self._found(answer, text)

    def _found(self, answer: Logits, text: EncodedWindows) -> list[Found]:
        return _entities(read(answer, text, self.labels, self._pieces, strategy=STRATEGY), text.text)

    def request(self, example: Example) -> object:
        return example.values["text"]

    def servable(self) -> Servable:
        return self.served(self.labels, aggregation_strategy=STRATEGY)


def _entities(body: Any, text: str) -> list[Found]:
    """Kind and place of each entity of an answer, without spaces at its ends."""
    found: list[Found] = []
    for one in body:
        inside = text[one["start"] : one["end"]]
        start = one["end"] - len(inside.lstrip())
        found.append((one["entity_group"], start, start + len(inside.strip())))
    return found


def load(checkpoint: Path) -> Servable:
    """A checkpoint with its own head on tokens."""
    if checkpoints.is_adapted(checkpoint):
        network = own_head(checkpoint, AutoModelForTokenClassification, "classifier")
        _, labels = read_head(checkpoint, network.head.in_features)
        return adapted_servable(network, checkpoint, labels=labels, aggregation_strategy=STRATEGY)
    require_head(checkpoint, "ForTokenClassification", TASK)
    checkpoints.ensure_tokenizer(checkpoint)
    config = checkpoints.load_config(checkpoint)
    model = load_weights(AutoModelForTokenClassification, checkpoint)
    return token_servable(
        TokenLogits(model).eval().requires_grad_(False),
        model,
        checkpoint,
        max_tokens=checkpoints.max_tokens(checkpoint),
        labels=tuple(str(config.id2label[place]) for place in range(config.num_labels)),
    )


def adapt(
    checkpoint: Path, base: ModelEntry, examples: Sequence[Example], *, labels: tuple[str, ...], asked: Hyperparameters
) -> EntityAdaptation:
    """Any imported text encoder under a new head; a tagger that names the very same kinds goes on with its own."""
    tags = tags_of(labels)
    knows = base.task == TASK and sorted(base.labels) == sorted(tags)
    limit = base.limits.get("max_tokens", 0)
    own = own_head(checkpoint, AutoModelForTokenClassification, "classifier") if knows else None
    return EntityAdaptation(
        checkpoint,
        own or new_head(checkpoint, len(tags)),
        labels=base.labels if knows else tags,
        max_tokens=limit if asked.max_tokens == "auto" else min(asked.max_tokens, limit),
        knows=knows,
    )
