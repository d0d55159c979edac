"""Some tokens more of a decoder with its cache, as one graph; the encoder's answer is never computed again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn

from adapters.training.architectures.stacks import FORBIDDEN, Attention, Stack, attend


class DecoderGraph(nn.Module):
    """Some tokens more of each of several hypotheses for each row.

    Inputs: ``tokens`` (batch, hypotheses, new), ``at`` (wanted,) the places among the new ones whose logits are wanted,
    ``weights`` (batch, positions), which are added to the scores of the encoder's positions, ``cross_key_i`` (batch,
    heads, width, positions) and ``cross_value_i`` (batch, heads, positions, width), ``past_key_i`` and
    ``past_value_i`` (batch, hypotheses, heads, past, width) of every layer. Outputs: logits (batch, hypotheses, wanted,
    vocabulary), with ``watched`` the attention of those (layer, head) to the encoder's positions (batch, hypotheses,
    heads, new, positions), and the cache with the new places.

    ``projection`` makes logits of what the last layer answers.
    """

    def __init__(self, stack: Stack, projection: nn.Module, *, watched: Sequence[tuple[int, int]] = ()) -> None:
        super().__init__()
        self.decoder: nn.Module = stack.side
        self.projection = projection
        self._stack = stack
        self._watched = tuple(watched)

    def forward(self, tokens: Tensor, at: Tensor, weights: Tensor, **held: Tensor) -> tuple[Tensor, ...]:
        stack = self._stack
        batch, group, new = tokens.shape
        past = held["past_key_0"].shape[3]
        hidden = stack.embed(tokens.flatten(0, 1), past)
        mask, bias = _mask(stack, past, new), weights[:, None, None, :]
        cache: list[Tensor] = []
        seen: list[Tensor] = []
        for place, layer in enumerate(stack.layers):
            attention, norm = stack.looks(layer)
            own = _Own(attention, held[f"past_key_{place}"], held[f"past_value_{place}"], mask)
            hidden = stack.around(hidden, norm, own)
            cache += own.grown
            attention, norm = stack.listens(layer)
            heads = tuple(head for watched, head in self._watched if watched == place)
            cross = _Cross(attention, held[f"cross_key_{place}"], held[f"cross_value_{place}"], bias, heads)
            hidden = stack.around(hidden, norm, partial(cross, group=group))
            seen += cross.seen
            think, norm = stack.thinks(layer)
            hidden = stack.around(hidden, norm, think)
        logits = self.projection(stack.close(hidden[:, at])).reshape(batch, group, at.shape[0], -1)
        return logits, *([torch.stack(seen, dim=2)] if self._watched else []), *cache


def _mask(stack: Stack, past: int, new: int) -> Tensor:
    """What is added to the scores of a stack's own positions, (…, new, past + new)."""
    later = torch.arange(past + new)[None, :] > torch.arange(past, past + new)[:, None]
    mask = torch.zeros(new, past + new).masked_fill(later, FORBIDDEN)
    distances = stack.relative(new, past + new)
    return mask if distances is None else mask + distances


@dataclass
class _Own:
    """Attention to what was written so far; ``grown`` are its keys and values with the new places."""

    attention: Attention
    key: Tensor
    value: Tensor
    mask: Tensor
    grown: list[Tensor] = field(default_factory=list)

    def __call__(self, hidden: Tensor) -> Tensor:
        batch, group = self.key.shape[:2]
        key = torch.cat([self.key.flatten(0, 1), self.attention.key(hidden)], dim=2)
        value = torch.cat([self.value.flatten(0, 1), self.attention.value(hidden)], dim=2)
        self.grown = [one.reshape(batch, group, *one.shape[1:]) for one in (key, value)]
        mixed, _ = attend(self.attention.query(hidden), key.transpose(2, 3), value, self.mask)
        return self.attention.out(mixed)


@dataclass
class _Cross:
    """Attention to the encoder's positions; ``seen`` is that of some ``heads``."""

    attention: Attention
    key: Tensor
    value: Tensor
    bias: Tensor
    heads: tuple[int, ...]
    seen: list[Tensor] = field(default_factory=list)

    def __call__(self, hidden: Tensor, *, group: int) -> Tensor:
        rows, new = hidden.shape[:2]
        batch = rows // group
        # All hypotheses of a row are rows of one product with its keys, which are then read once.
        query = self.attention.query(hidden.reshape(batch, group * new, -1))
        mixed, attention = attend(query, self.key, self.value, self.bias)
        self.seen = [attention[:, head].reshape(batch, group, new, -1) for head in self.heads]
        return self.attention.out(mixed).reshape(rows, new, -1)
