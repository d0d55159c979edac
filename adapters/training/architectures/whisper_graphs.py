"""Whisper as two graphs: the encoder, once for each clip, and some tokens more of the decoder with its cache.

They hold transformers' layers and weights, so that LoRA finds its targets, and only the way through them is written
anew: the encoder answers with the keys and values of the decoder's cross-attention, which never change while a clip is
decoded, and neither has to see the silence that fills a clip up to 30 s at every one of its 1,500 positions. A position
may stand for several that are alike: the logarithm of their number is added to its attention scores, which is what
that many equal keys would amount to.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from adapters.training.architectures.decoder_graph import DecoderGraph
from adapters.training.architectures.stacks import Attention, Stack, Step, attend


class WhisperEncoder(nn.Module):
    """Log-mel (batch, bins, frames), frames even, to keys and values for every layer of the decoder.

    ``sources`` and ``places`` (batch, positions): which of the ``frames / 2`` results of the convolutions stands at a
    position, and at which of the 1,500 places of a whole window. ``weights`` (batch, positions): the logarithm of the
    number of places that it stands for, a large negative number for none. With places in order and weights of zero
    this is transformers' encoder.

    Answers ``2 * layers`` tensors: key (batch, heads, width, positions), already transposed for the product with the
    query, and value (batch, heads, positions, width).
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.encoder = model.encoder
        self.cross = nn.ModuleList(layer.encoder_attn for layer in model.decoder.layers)

    def forward(self, features: Tensor, sources: Tensor, places: Tensor, weights: Tensor) -> tuple[Tensor, ...]:
        hidden = self.hidden(features, sources, places, weights)
        answers: list[Tensor] = []
        for module in self.cross:
            attention = _attention(module)
            answers += [attention.key(hidden).transpose(2, 3), attention.value(hidden)]
        return tuple(answers)

    def hidden(self, features: Tensor, sources: Tensor, places: Tensor, weights: Tensor) -> Tensor:
        """The last layer after its norm, (batch, positions, channels)."""
        encoder = self.encoder
        heard = functional.gelu(encoder.conv2(functional.gelu(encoder.conv1(features)))).transpose(1, 2)
        hidden = heard.gather(1, sources[:, :, None].expand(-1, -1, heard.shape[2]))
        hidden = hidden + encoder.embed_positions.weight[places]
        bias = weights[:, None, None, :]
        for layer in encoder.layers:
            attention, given = _attention(layer.self_attn), layer.self_attn_layer_norm(hidden)
            query, key, value = attention.query(given), attention.key(given), attention.value(given)
            hidden = hidden + attention.out(_by_head(query, key.transpose(2, 3), value, bias))
            hidden = hidden + _think(layer, layer.final_layer_norm(hidden))
        answer: Tensor = encoder.layer_norm(hidden)
        return answer


class WhisperStack(Stack):
    """The decoder, for ``DecoderGraph``."""

    def __init__(self, side: Any) -> None:
        super().__init__(side, before=True)

    @property
    def layers(self) -> Sequence[Any]:
        return list(self.side.layers)

    def embed(self, tokens: Tensor, past: int) -> Tensor:
        places = self.side.embed_positions.weight[past : past + tokens.shape[1]]
        hidden: Tensor = self.side.embed_tokens(tokens) + places
        return hidden

    def looks(self, layer: Any) -> tuple[Attention, nn.Module]:
        return _attention(layer.self_attn), layer.self_attn_layer_norm

    def listens(self, layer: Any) -> tuple[Attention, nn.Module]:
        return _attention(layer.encoder_attn), layer.encoder_attn_layer_norm

    def thinks(self, layer: Any) -> tuple[Step, nn.Module]:
        return partial(_think, layer), layer.final_layer_norm

    def close(self, hidden: Tensor) -> Tensor:
        answer: Tensor = self.side.layer_norm(hidden)
        return answer


class WhisperDecoder(DecoderGraph):
    """``DecoderGraph`` that answers with the attention of the alignment heads, as ``alignment``, too."""

    def __init__(self, model: Any, projection: nn.Linear, alignment: tuple[tuple[int, int], ...]) -> None:
        layers = len(model.decoder.layers)
        heads = model.decoder.layers[0].encoder_attn.num_heads
        # Of a checkpoint that names none, those of the upper half follow the sound best.
        watched = alignment or tuple(product(range(layers // 2, layers), range(heads)))
        super().__init__(WhisperStack(model.decoder), projection, watched=watched)


def _attention(module: Any) -> Attention:
    return Attention(module, module.num_heads, module.scaling)


def _by_head(query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
    """The mixed values, one head after another: as fast, and the scores of a whole window take 9 MB, not 9 for each."""
    heads = zip(*(torch.split(one, 1, dim=1) for one in (query, key, value)), strict=True)
    return torch.cat([attend(one, other, mixed, bias)[0] for one, other, mixed in heads], dim=1)


def _think(layer: Any, hidden: Tensor) -> Tensor:
    answer: Tensor = layer.fc2(functional.gelu(layer.fc1(hidden)))
    return answer
