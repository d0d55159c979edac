"""Teacher forcing: what should come next at each place of a text, given the true tokens before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from adapters.datasets import Example


@dataclass(frozen=True, eq=False)
class Said:
    """What is to be learnt of an example: ``taught`` marks those of ``tokens`` behind which one of ``wanted`` comes."""

    example: Example
    tokens: Tensor
    taught: Tensor
    wanted: Tensor


def stacked(said: Sequence[Said], filler: int) -> tuple[Tensor, Tensor]:
    """``tokens`` and ``taught`` of several examples, (rows, longest)."""
    shape = len(said), max(len(one.tokens) for one in said)
    tokens, taught = torch.full(shape, filler), torch.zeros(shape, dtype=torch.bool)
    for row, one in enumerate(said):
        tokens[row, : len(one.tokens)], taught[row, : len(one.tokens)] = one.tokens, one.taught
    return tokens, taught


def loss(outputs: Tensor, said: Sequence[Said]) -> Tensor:
    """Mean over examples of the mean cross-entropy of an example's tokens; ``outputs`` (taught, vocabulary)."""
    sizes = [len(one.wanted) for one in said]
    losses = functional.cross_entropy(outputs, torch.cat([one.wanted for one in said]), reduction="none")
    return torch.stack([one.mean() for one in torch.split(losses, sizes)]).mean()
