"""BERT's last layer, computed only where its answer is asked for."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class LastLayer(nn.Module):
    """In the place of a body's last layer: the same parameters and numbers, without what no loss reads.

    Keys and values are of all tokens; the rest of the layer, five sixths of its products, only of those asked for.
    """

    def __init__(self, layer: Any) -> None:
        """``layer``: a ``BertLayer``, without dropout."""
        super().__init__()
        self.attention, self.intermediate, self.output = layer.attention, layer.intermediate, layer.output

    def forward(self, hidden: Tensor, *_: Any, places: Tensor, **__: Any) -> Tensor:
        """(rows, tokens, width) to (1, places, width); the body hands on what it is called with.

        ``places``: (places,), in all rows' tokens as one, row by row.
        """
        rows, tokens, width = hidden.shape
        row, at = places // tokens, places % tokens
        counts = torch.bincount(row, minlength=rows)
        within = torch.arange(len(places)) - (counts.cumsum(0) - counts)[row]
        asked = torch.zeros(rows, int(counts.max()), dtype=torch.long)  # rows ask for unlike counts: filled up
        asked[row, within] = at
        states = hidden.gather(1, asked[:, :, None].expand(-1, -1, width))
        attended = self.attention.output(self._gathered(states, hidden), states)
        found: Tensor = self.output(self.intermediate(attended), attended)
        return found[row, within][None]

    def _gathered(self, states: Tensor, hidden: Tensor) -> Tensor:
        """What the heads bring from all tokens to those that are asked for."""
        attention: Any = self.attention.self
        queries, keys, values = (
            of(tokens).unflatten(-1, (-1, attention.attention_head_size)).transpose(1, 2)
            for of, tokens in ((attention.query, states), (attention.key, hidden), (attention.value, hidden))
        )
        scores = queries @ keys.transpose(2, 3) * attention.scaling
        gathered: Tensor = (scores.softmax(-1) @ values).transpose(1, 2).flatten(2)
        return gathered
