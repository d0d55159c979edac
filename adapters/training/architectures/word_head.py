"""The head of a network that guesses words and shares its table of words with its body."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

EPSILON = 1e-12  # of BERT's LayerNorm, and of those kinds that do not name theirs


class WordHead(nn.Module):
    """A dense layer, GELU, LayerNorm, then the product with the body's table, and a bias for each word.

    As BERT's own (Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers", 2019). The table is the
    body's: it is not among the head's own tensors.
    """

    def __init__(self, table: Tensor, *, epsilon: float = EPSILON) -> None:
        """``table``: (words, width)."""
        super().__init__()
        words, width = table.shape
        self.dense = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width, eps=epsilon)
        self.bias = nn.Parameter(torch.zeros(words))
        self.register_buffer("table", table.detach(), persistent=False)

    def forward(self, hidden: Tensor) -> Tensor:
        """(…, width) to a number for each word, before any softmax."""
        return functional.linear(self._changed(hidden), self.get_buffer("table"), self.bias)

    def among(self, words: Tensor, hidden: Tensor) -> Tensor:
        """The same, for ``words`` alone: (…, width) to (…, words)."""
        return functional.linear(self._changed(hidden), self.get_buffer("table")[words], self.bias[words])

    def _changed(self, hidden: Tensor) -> Tensor:
        changed: Tensor = self.norm(functional.gelu(self.dense(hidden)))
        return changed
