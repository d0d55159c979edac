"""Random adapters made by peft on a body, and what torch answers with them."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from torch import nn

from adapters.training import lora
from zoo.engine.adapter_weights import AdapterWeights
from zoo.engine.body import Body
from zoo.engine.session import Array


@dataclass(frozen=True)
class Made:
    """An adapter's folder, and the body with it in torch."""

    folder: Path
    wrapped: Any

    def weights(self, body: Body) -> AdapterWeights:
        """As the server reads them."""
        return AdapterWeights.read(self.folder, body.slots.table)

    def vectors(self, feeds: Mapping[str, Array]) -> Array:
        """What peft answers."""
        with torch.no_grad():
            answer = self.wrapped(**{name: torch.from_numpy(values) for name, values in feeds.items()})
        found: Array = getattr(answer, "last_hidden_state", answer).numpy()
        return found


def make(
    body: nn.Module, folder: Path, targets: Sequence[str], *, rank: int = 8, alpha: float | None = None, seed: int = 0
) -> Made:
    """An adapter with random A and B on all modules whose names end so, saved as a fine-tune saves it."""
    config = LoraConfig(r=rank, lora_alpha=2 * rank if alpha is None else alpha, target_modules=list(targets))
    wrapped = get_peft_model(copy.deepcopy(body), config).eval()
    torch.manual_seed(seed)
    with torch.no_grad():
        for _, weight in lora.weights(wrapped):
            weight.copy_(torch.randn_like(weight) * 0.1)
    lora.save(wrapped, nn.Identity(), folder)
    return Made(folder, wrapped)


def apart(one: Array, other: Array) -> float:
    """Largest difference."""
    return float(np.abs(np.subtract(one, other, dtype=np.float64)).max())
