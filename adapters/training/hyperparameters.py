"""From "auto" to numbers: what a training run will do, decided from the data and written down before it starts."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from adapters.jobs import Hyperparameters

T = TypeVar("T")

# A few hundred updates are needed however small the data is (Zhang et al., few-sample BERT, 2021).
UPDATES = 160
LEAST_EPOCHS, MOST_EPOCHS = 3, 10
# Of 5e-4, 1e-3, 2e-3 and 4e-3 the best or near it on 240 to 1,800 rows of five data sets (MiniLM, upper half, rank 8).
LEARNING_RATE = 1e-3


@dataclass(frozen=True)
class Plan:
    """Every number of one training run. ``top_layers`` counts the adapted layers from the last one down."""

    n_epochs: int
    batch_size: int
    learning_rate: float
    lora_rank: int
    lora_alpha: float
    lora_dropout: float
    target_modules: tuple[str, ...] | None
    top_layers: int
    weight_decay: float
    warmup_ratio: float
    max_tokens: int

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, for lineage and clients."""
        return asdict(self) | {"target_modules": list(self.target_modules) if self.target_modules else "all-linear"}


def resolve(asked: Hyperparameters, *, rows: int, layers: int, max_tokens: int) -> Plan:
    """What was asked for, and for each "auto" the value measured to work over several real data sets.

    ``rows`` are those that are trained on, ``layers`` the body's; ``max_tokens`` is the model's own limit, which a
    smaller wish lowers.
    """
    batch_size = _chosen(asked.batch_size, 32 if rows >= 1000 else 16)
    updates_an_epoch = max(1, math.ceil(rows / batch_size))
    epochs = min(MOST_EPOCHS, max(LEAST_EPOCHS, round(UPDATES / updates_an_epoch)))
    rate = _chosen(asked.learning_rate, LEARNING_RATE) * _chosen(asked.learning_rate_multiplier, 1.0)
    rank = _chosen(asked.lora_rank, 8)
    return Plan(
        n_epochs=_chosen(asked.n_epochs, epochs),
        batch_size=batch_size,
        learning_rate=min(rate, 0.1),
        lora_rank=rank,
        lora_alpha=_chosen(asked.lora_alpha, 2.0 * rank),
        lora_dropout=_chosen(asked.lora_dropout, 0.0),
        target_modules=None if asked.target_modules == "auto" else tuple(asked.target_modules),
        top_layers=layers if asked.target_modules != "auto" else math.ceil(layers / 2),
        weight_decay=_chosen(asked.weight_decay, 0.01),
        warmup_ratio=_chosen(asked.warmup_ratio, 0.06),
        max_tokens=min(_chosen(asked.max_tokens, max_tokens), max_tokens),
    )


def _chosen(value: Any, default: T) -> T:
    return default if value == "auto" else value
