"""Whisper as two graphs: the encoder, once for each clip, and some tokens more of the decoder with its cache.

They hold transformers' layers and weights, so that LoRA finds its targets, and only the way through them is written
anew: the encoder answers with the keys and values of the decoder's cross-attention, which never change while a clip is
decoded, and neither has to see the silence that fills a clip up to 30 s at every one of its 1,500 positions. A position
may stand for several that are alike: the logarithm of their number is added to its attention scores, which is what
that many equal keys would amount to.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


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
        for attention in self.cross:
            _, key, value = _projected(attention, hidden)
            answers += [key.transpose(2, 3), value]
        return tuple(answers)

    def hidden(self, features: Tensor, sources: Tensor, places: Tensor, weights: Tensor) -> Tensor:
        """The last layer after its norm, (batch, positions, channels)."""
        encoder = self.encoder
        heard = functional.gelu(encoder.conv2(functional.gelu(encoder.conv1(features)))).transpose(1, 2)
        hidden = heard.gather(1, sources[:, :, None].expand(-1, -1, heard.shape[2]))
        hidden = hidden + encoder.embed_positions.weight[places]
        bias = weights[:, None, None, :]
        for layer in encoder.layers:
            query, key, value = _projected(layer.self_attn, layer.self_attn_layer_norm(hidden))
            mixed = _by_head(query, key.transpose(2, 3), value, bias)
            hidden = hidden + layer.self_attn.out_proj(_joined(mixed))
            hidden = hidden + _feed_forward(layer, hidden)
        answer: Tensor = encoder.layer_norm(hidden)
        return answer


class WhisperDecoder(nn.Module):
    """Some tokens more of each of several hypotheses for each clip.

    Inputs: ``tokens`` (batch, hypotheses, new), ``at`` (wanted,) the places among the new ones whose logits are wanted,
    ``weights`` and ``cross_key_i``, ``cross_value_i`` of the encoder, ``past_key_i`` and ``past_value_i`` (batch,
    hypotheses, heads, past, width) of every layer. Outputs: logits (batch, hypotheses, wanted, vocabulary), attention
    of the alignment heads (batch, hypotheses, heads, new, positions), and the cache with the new places.
    """

    def __init__(self, model: Any, projection: nn.Linear, alignment: tuple[tuple[int, int], ...]) -> None:
        super().__init__()
        self.decoder = model.decoder
        self.projection = projection
        layers = len(model.decoder.layers)
        heads = model.decoder.layers[0].encoder_attn.num_heads
        # Of a checkpoint that names none, those of the upper half follow the sound best.
        self._alignment = alignment or tuple(product(range(layers // 2, layers), range(heads)))

    def forward(self, tokens: Tensor, at: Tensor, weights: Tensor, **held: Tensor) -> tuple[Tensor, ...]:
        decoder = self.decoder
        batch, group, new = tokens.shape
        past = held["past_key_0"].shape[3]
        hidden = decoder.embed_tokens(tokens.flatten(0, 1)) + decoder.embed_positions.weight[past : past + new]
        later = torch.arange(past + new)[None, :] > torch.arange(past, past + new)[:, None]
        mask = torch.zeros(new, past + new).masked_fill(later, -1e9)
        bias = weights[:, None, None, :]
        cache: list[Tensor] = []
        aligned: list[Tensor] = []
        for place, layer in enumerate(decoder.layers):
            query, key, value = _projected(layer.self_attn, layer.self_attn_layer_norm(hidden))
            key = torch.cat([held[f"past_key_{place}"].flatten(0, 1), key], dim=2)
            value = torch.cat([held[f"past_value_{place}"].flatten(0, 1), value], dim=2)
            cache += [grown.reshape(batch, group, *grown.shape[1:]) for grown in (key, value)]
            mixed, _ = _attend(query, key.transpose(2, 3), value, mask)
            hidden = hidden + layer.self_attn.out_proj(_joined(mixed))

            # All hypotheses of a clip are rows of one product with its keys, which are then read once.
            query = _query(layer.encoder_attn, layer.encoder_attn_layer_norm(hidden).reshape(batch, group * new, -1))
            mixed, attention = _attend(query, held[f"cross_key_{place}"], held[f"cross_value_{place}"], bias)
            hidden = hidden + layer.encoder_attn.out_proj(_joined(mixed)).reshape(batch * group, new, -1)
            heads = [head for at_, head in self._alignment if at_ == place]
            aligned += [attention[:, head].reshape(batch, group, new, -1) for head in heads]
            hidden = hidden + _feed_forward(layer, hidden)
        logits = self.projection(decoder.layer_norm(hidden[:, at])).reshape(batch, group, at.shape[0], -1)
        return logits, torch.stack(aligned, dim=2), *cache


def cache_names(layers: int) -> tuple[str, ...]:
    """``key_0``, ``value_0``, ``key_1``, …: the order in which both graphs name keys and values."""
    return tuple(f"{kind}_{layer}" for layer in range(layers) for kind in ("key", "value"))


def _projected(attention: Any, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Query, already scaled, key and value: (batch, heads, positions, width) each."""
    return (
        _query(attention, hidden),
        _split(attention.k_proj(hidden), attention),
        _split(attention.v_proj(hidden), attention),
    )


def _query(attention: Any, hidden: Tensor) -> Tensor:
    return _split(attention.q_proj(hidden) * attention.scaling, attention)


def _split(hidden: Tensor, attention: Any) -> Tensor:
    return hidden.reshape(*hidden.shape[:2], attention.num_heads, attention.head_dim).transpose(1, 2)


def _joined(mixed: Tensor) -> Tensor:
    return mixed.transpose(1, 2).flatten(2)


def _attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """The mixed values and the attention; ``key`` is (batch, heads, width, positions)."""
    attention = torch.softmax(query @ key + bias, dim=-1)
    return attention @ value, attention


def _by_head(query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
    """The mixed values, one head after another: as fast, and the scores of a whole window take 9 MB, not 9 for each."""
    heads = zip(query.split(1, dim=1), key.split(1, dim=1), value.split(1, dim=1), strict=True)
    return torch.cat([_attend(*head, bias)[0] for head in heads], dim=1)


def _feed_forward(layer: Any, hidden: Tensor) -> Tensor:
    answer: Tensor = layer.fc2(functional.gelu(layer.fc1(layer.final_layer_norm(hidden))))
    return answer
