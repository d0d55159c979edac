"""Whisper as two graphs: the encoder, once for each clip, and one step of the decoder with its cache.

They hold transformers' layers and weights, so that LoRA finds its targets, and only the way through them is written
anew: the encoder takes clips of any length, and answers with the keys and values of the decoder's cross-attention, which
never change while a clip is decoded.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class WhisperEncoder(nn.Module):
    """(batch, bins, frames) of log-mel to keys and values for every layer of the decoder.

    Answers ``2 * layers`` tensors: key (batch, heads, width, positions), already transposed for the product with the
    query, and value (batch, heads, positions, width); positions are half the frames, frames an even number.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.encoder = model.encoder
        self.cross = nn.ModuleList(layer.encoder_attn for layer in model.decoder.layers)

    def forward(self, features: Tensor) -> tuple[Tensor, ...]:
        hidden = self.hidden(features)
        answers: list[Tensor] = []
        for attention in self.cross:
            heads, width = attention.num_heads, attention.head_dim  # type: ignore[union-attr]
            answers.append(_split(attention.k_proj(hidden), heads, width).permute(0, 2, 3, 1))  # type: ignore[operator]
            answers.append(_split(attention.v_proj(hidden), heads, width).transpose(1, 2))  # type: ignore[operator]
        return tuple(answers)

    def hidden(self, features: Tensor) -> Tensor:
        """The last layer after its norm, (batch, positions, channels)."""
        encoder = self.encoder
        hidden = functional.gelu(encoder.conv1(features))
        hidden = functional.gelu(encoder.conv2(hidden)).transpose(1, 2)
        hidden = hidden + encoder.embed_positions.weight[: hidden.shape[1]]
        for layer in encoder.layers:
            normed = layer.self_attn_layer_norm(hidden)
            attention = layer.self_attn
            query, key, value = _projected(attention, normed)
            mixed = _attend(query, key.transpose(2, 3), value)[0]
            hidden = hidden + attention.out_proj(_joined(mixed))
            hidden = hidden + layer.fc2(functional.gelu(layer.fc1(layer.final_layer_norm(hidden))))
        answer: Tensor = encoder.layer_norm(hidden)
        return answer


class WhisperDecoder(nn.Module):
    """Some tokens more of each of several hypotheses for each clip.

    Inputs: ``tokens`` (batch, hypotheses, new), ``at`` (rows,) the places among the new ones whose logits are wanted,
    ``past_key_i`` and ``past_value_i`` (batch, hypotheses, heads, past, width) of every layer, ``cross_key_i`` and
    ``cross_value_i`` of the encoder. Outputs: logits (batch, hypotheses, len(at), vocabulary), the weights of the
    alignment heads (batch, hypotheses, heads, new, positions), and the cache with the new places.
    """

    def __init__(self, model: Any, projection: nn.Linear, alignment: tuple[tuple[int, int], ...]) -> None:
        super().__init__()
        self.decoder = model.decoder
        self.projection = projection
        self._alignment = alignment

    def forward(self, tokens: Tensor, at: Tensor, **held: Tensor) -> tuple[Tensor, ...]:
        decoder = self.decoder
        batch, group, new = tokens.shape
        past = held["past_key_0"].shape[3]
        hidden = decoder.embed_tokens(tokens.flatten(0, 1))
        hidden = hidden + decoder.embed_positions.weight[past : past + new]
        hidden_places = torch.arange(past + new)[None, :] > torch.arange(past, past + new)[:, None]
        mask = torch.zeros(new, past + new).masked_fill(hidden_places, -1e9)
        cache: list[Tensor] = []
        weights: list[Tensor] = []
        for place, layer in enumerate(decoder.layers):
            normed = layer.self_attn_layer_norm(hidden)
            attention = layer.self_attn
            query, key, value = _projected(attention, normed)
            key = torch.cat([held[f"past_key_{place}"].flatten(0, 1), key], dim=2)
            value = torch.cat([held[f"past_value_{place}"].flatten(0, 1), value], dim=2)
            mixed = _attend(query, key.transpose(2, 3), value, mask)[0]
            hidden = hidden + attention.out_proj(_joined(mixed))
            cache += [key.unflatten(0, (batch, group)), value.unflatten(0, (batch, group))]

            normed = layer.encoder_attn_layer_norm(hidden)
            attention = layer.encoder_attn
            # All hypotheses of a clip are rows of one product with its keys, which are then read once.
            query = attention.q_proj(normed) * attention.scaling
            query = _split(query.reshape(batch, group * new, -1), attention.num_heads, attention.head_dim)
            mixed, weight = _attend(query.transpose(1, 2), held[f"cross_key_{place}"], held[f"cross_value_{place}"])
            hidden = hidden + attention.out_proj(_joined(mixed).reshape(batch * group, new, -1))
            weights += [weight[:, head].unflatten(1, (group, new)) for level, head in self._alignment if level == place]
            hidden = hidden + layer.fc2(functional.gelu(layer.fc1(layer.final_layer_norm(hidden))))
        wanted = decoder.layer_norm(hidden[:, at])
        logits = self.projection(wanted).unflatten(0, (batch, group))
        return logits, torch.stack(weights, dim=2), *cache


def _projected(attention: Any, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Query, already scaled, key and value, (batch, heads, places, width) each."""
    heads, width = attention.num_heads, attention.head_dim
    query = _split(attention.q_proj(hidden) * attention.scaling, heads, width).transpose(1, 2)
    key = _split(attention.k_proj(hidden), heads, width).transpose(1, 2)
    return query, key, _split(attention.v_proj(hidden), heads, width).transpose(1, 2)


def _split(hidden: Tensor, heads: int, width: int) -> Tensor:
    return hidden.unflatten(-1, (heads, width))


def _joined(mixed: Tensor) -> Tensor:
    return mixed.transpose(1, 2).flatten(2)


def _attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The mixed values and the weights; ``key`` is (…, width, places)."""
    scores = query @ key
    weights = torch.softmax(scores if mask is None else scores + mask, dim=-1)
    return weights @ value, weights
