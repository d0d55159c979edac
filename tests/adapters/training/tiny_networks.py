"""Networks of a few weights that run in steps, and what "auto" means for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from adapters.jobs import Hyperparameters
from adapters.training.recipe import Defaults

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class Wishes:
    """What a client asks for, and what fills the rest."""

    asked: Hyperparameters
    defaults: Defaults


DEFAULTS = Wishes(
    Hyperparameters(lora_rank=4, lora_alpha=8),
    Defaults(updates=160, epochs=(3, 10), batch_size=(16, 32), learning_rate=(1e-3, 1e-3), lora_rank=8, top=0.5),
)


class Convolutions(nn.Module):
    """A stem and four steps, of which the first and the third are read beside the last: (rows, 4 + 8 + 8)."""

    taps = (0, 2)

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        sizes = [(4, 4, 3, 2), (4, 8, 1, 1), (8, 8, 3, 2), (8, 8, 1, 1)]
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(before, after, side, stride, side // 2), nn.ReLU())
            for before, after, side, stride in sizes
        )
        self.eval().requires_grad_(False)

    def steps(self) -> Sequence[nn.Module]:
        return list(self.blocks)

    def forward(self, pixels: Tensor) -> Tensor:
        hidden = self.stem(pixels)
        read: list[Tensor] = []
        for place, block in enumerate(self.blocks):
            hidden = block(hidden)
            if place in self.taps:
                read.append(hidden)
        return torch.cat([values.mean(dim=(2, 3)) for values in (*read, hidden)], dim=1)


class Layer(nn.Module):
    """A layer whose input may be given by name and that may answer more than its hidden values, as transformers' do."""

    def __init__(self, style: str) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 6)
        self._style = style

    def forward(self, hidden_states: Tensor, mask: Any = None) -> Any:
        hidden = torch.tanh(self.linear(hidden_states))
        return (hidden, "attention") if self._style == "tuples" else hidden


class Layers(nn.Module):
    """Four layers; the first one's output is added to the last one's. ``style``: tensors, tuples or keywords."""

    def __init__(self, style: str) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.layer = nn.ModuleList(Layer(style) for _ in range(4))
        self._style = style

    def steps(self) -> Sequence[nn.Module]:
        return list(self.layer)

    def forward(self, hidden: Tensor) -> Tensor:
        first = hidden
        for place, layer in enumerate(self.layer):
            answer = layer(hidden_states=hidden) if self._style == "keywords" else layer(hidden, None)
            hidden = answer[0] if self._style == "tuples" else answer
            first = hidden if place == 0 else first
        return hidden + first


def stirred(wrapped: Network, *, seed: int = 5) -> Network:
    """With LoRA matrices that are no longer zero."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in wrapped.named_parameters():
            if "lora_" in name:
                weight.copy_(0.1 * torch.randn(weight.shape, generator=generator))
    return wrapped.eval()
