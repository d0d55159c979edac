"""The encoder of a text-to-text network as a graph: what the decoder asks of it at every step, computed once."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from adapters.training.architectures.stacks import FORBIDDEN, Attention, Stack, attend


class EncoderGraph(nn.Module):
    """Token ids and mask (batch, length) to keys and values for every layer of the decoder.

    Answers ``2 * layers`` tensors: key (batch, heads, width, length), already transposed for the product with the
    query, and value (batch, heads, length, width).
    """

    def __init__(self, encoder: Stack, decoder: Stack) -> None:
        super().__init__()
        self.encoder: nn.Module = encoder.side
        self._stack = encoder
        self._listening = [decoder.listens(layer)[0] for layer in decoder.layers]
        self.cross = nn.ModuleList(attention.module for attention in self._listening)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, ...]:
        hidden = self.hidden(input_ids, attention_mask)
        answers: list[Tensor] = []
        for attention in self._listening:
            answers += [attention.key(hidden).transpose(2, 3), attention.value(hidden)]
        return tuple(answers)

    def hidden(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """What the last layer answers, after its norm where there is one: (batch, length, channels)."""
        stack, length = self._stack, input_ids.shape[1]
        bias = torch.where(attention_mask > 0, 0.0, FORBIDDEN)[:, None, None, :]
        distances = stack.relative(length, length)
        bias = bias if distances is None else bias + distances
        hidden = stack.embed(input_ids, 0)
        for layer in stack.layers:
            attention, norm = stack.looks(layer)
            hidden = stack.around(hidden, norm, _Both(attention, bias))
            think, norm = stack.thinks(layer)
            hidden = stack.around(hidden, norm, think)
        return stack.close(hidden)


class _Both:
    """Attention in both directions."""

    def __init__(self, attention: Attention, bias: Tensor) -> None:
        self._attention, self._bias = attention, bias

    def __call__(self, hidden: Tensor) -> Tensor:
        own = self._attention
        mixed, _ = attend(own.query(hidden), own.key(hidden).transpose(2, 3), own.value(hidden), self._bias)
        return own.out(mixed)
