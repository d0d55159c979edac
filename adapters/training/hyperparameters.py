"""From "auto" to numbers: what a training run will do, decided from the data and written down before it starts."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from adapters.jobs import Hyperparameters
from adapters.training.recipe import Defaults

T = TypeVar("T")

LARGE_ROWS = 1000  # from here on batches are large


@dataclass(frozen=True)
class Ranks:
    """What LoRA adds to a weight: ``B A`` of ``rank``, times ``alpha / rank``; ``dropout`` is of what enters A."""

    rank: int
    alpha: float
    dropout: float = 0.0


@dataclass(frozen=True)
class Plan:
    """Every number of one training run.

    ``top_layers`` counts the adapted steps of the body from the last one down, ``views`` the fixed augmented copies of
    each training example. ``max_tokens`` is None where inputs are not cut. ``refit``: once more on all rows at the end.
    """

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
    max_tokens: int | None
    views: int
    refit: bool = False

    @property
    def ranks(self) -> Ranks:
        """How large the low-rank changes are."""
        return Ranks(self.lora_rank, self.lora_alpha, self.lora_dropout)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, for lineage and clients."""
        return asdict(self) | {"target_modules": list(self.target_modules) if self.target_modules else "all-linear"}


def resolve(asked: Hyperparameters, defaults: Defaults, *, rows: int, layers: int, max_tokens: int | None) -> Plan:
    """What was asked for, and for each "auto" the value measured to work over several real data sets.

    ``rows`` are those that are trained on, ``layers`` the body's steps, ``max_tokens`` where inputs will be cut.
    """
    large = rows >= LARGE_ROWS
    batch_size = _chosen(asked.batch_size, defaults.batch_size[large])
    updates_an_epoch = max(1, math.ceil(rows / batch_size))
    least, most = defaults.epochs
    epochs = min(most, max(least, round(defaults.updates / updates_an_epoch)))
    rate = _chosen(asked.learning_rate, defaults.learning_rate[large]) * _chosen(asked.learning_rate_multiplier, 1.0)
    rank = _chosen(asked.lora_rank, defaults.lora_rank)
    return Plan(
        n_epochs=_chosen(asked.n_epochs, epochs),
        batch_size=batch_size,
        learning_rate=min(rate, 0.1),
        lora_rank=rank,
        lora_alpha=_chosen(asked.lora_alpha, 2.0 * rank),
        lora_dropout=_chosen(asked.lora_dropout, 0.0),
        target_modules=None if asked.target_modules == "auto" else tuple(asked.target_modules),
        top_layers=layers if asked.target_modules != "auto" else math.ceil(layers * defaults.top),
        weight_decay=_chosen(asked.weight_decay, 0.01),
        warmup_ratio=_chosen(asked.warmup_ratio, 0.06),
        max_tokens=max_tokens,
        views=defaults.views,
        refit=rows < defaults.refit_below,
    )


def _chosen(value: Any, default: T) -> T:
    return default if value == "auto" else value
