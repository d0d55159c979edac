"""What encoder-decoder networks of transformers have in common, so that one way through them serves all.

A ``Stack`` is one side of such a network. It holds transformers' own modules, so that LoRA finds its targets and is
computed with, and says which of them plays which part.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

FORBIDDEN = -1e9  # added to the scores of what must not be looked at

Step = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Attention:
    """The four projections of an attention, by their names in ``module``, and its heads; scores are scaled."""

    module: Any
    heads: int
    scaling: float
    names: tuple[str, str, str, str] = ("q_proj", "k_proj", "v_proj", "out_proj")

    def query(self, hidden: Tensor) -> Tensor:
        """(batch, heads, positions, width), already scaled."""
        return self._split(self._project(0, hidden) * self.scaling)

    def key(self, hidden: Tensor) -> Tensor:
        """(batch, heads, positions, width)."""
        return self._split(self._project(1, hidden))

    def value(self, hidden: Tensor) -> Tensor:
        """(batch, heads, positions, width)."""
        return self._split(self._project(2, hidden))

    def out(self, mixed: Tensor) -> Tensor:
        """The heads' values (batch, heads, positions, width) as (batch, positions, channels)."""
        return self._project(3, mixed.transpose(1, 2).flatten(2))

    def _project(self, place: int, hidden: Tensor) -> Tensor:
        projected: Tensor = getattr(self.module, self.names[place])(hidden)
        return projected

    def _split(self, hidden: Tensor) -> Tensor:
        return hidden.reshape(*hidden.shape[:2], self.heads, hidden.shape[2] // self.heads).transpose(1, 2)


class Stack(ABC):
    """Encoder or decoder of a network; ``side`` is transformers' module.

    ``before``: whether norms stand before what they are for, else they follow the sum.
    """

    def __init__(self, side: Any, *, before: bool) -> None:
        self.side = side
        self._before = before

    @property
    @abstractmethod
    def layers(self) -> Sequence[Any]:
        """The blocks in order."""

    @abstractmethod
    def embed(self, tokens: Tensor, past: int) -> Tensor:
        """Vectors (batch, positions, channels) of tokens (batch, positions), the first of them at place ``past``."""

    @abstractmethod
    def looks(self, layer: Any) -> tuple[Attention, nn.Module]:
        """Attention to the stack's own positions, and its norm."""

    @abstractmethod
    def listens(self, layer: Any) -> tuple[Attention, nn.Module]:
        """A decoder's attention to the encoder's answer, and its norm."""

    @abstractmethod
    def thinks(self, layer: Any) -> tuple[Step, nn.Module]:
        """What is done to each position by itself, and its norm."""

    def relative(self, queries: int, keys: int) -> Tensor | None:
        """What distances add to the scores, (1, heads, queries, keys), queries being the last of the keys."""
        return None

    def close(self, hidden: Tensor) -> Tensor:
        """What follows the last layer."""
        return hidden

    def around(self, hidden: Tensor, norm: Any, step: Step) -> Tensor:
        """``step`` with the sum and the norm that belong to it."""
        if self._before:
            return hidden + step(norm(hidden))
        summed: Tensor = norm(hidden + step(hidden))
        return summed


def attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """The mixed values and the attention; ``key`` is (batch, heads, width, positions)."""
    attention = torch.softmax(query @ key + bias, dim=-1)
    return attention @ value, attention
