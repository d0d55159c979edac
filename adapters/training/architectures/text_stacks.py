"""The sides of transformers' text-to-text networks as stacks: Marian, BART, M2M-100 and T5."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from torch import Tensor, nn

from adapters.training.architectures.stacks import Attention, Stack, Step


class _Layered(Stack):
    """What Marian, BART and M2M-100 share: absolute positions, and layers whose parts have the same names."""

    def __init__(self, side: Any, *, before: bool = False) -> None:
        super().__init__(side, before=before)

    @property
    def layers(self) -> Sequence[Any]:
        return list(self.side.layers)

    def looks(self, layer: Any) -> tuple[Attention, nn.Module]:
        return _attention(layer.self_attn), layer.self_attn_layer_norm

    def listens(self, layer: Any) -> tuple[Attention, nn.Module]:
        return _attention(layer.encoder_attn), layer.encoder_attn_layer_norm

    def thinks(self, layer: Any) -> tuple[Step, nn.Module]:
        return partial(_think, layer), layer.final_layer_norm

    def _embedded(self, tokens: Tensor, table: Tensor, first: int, scale: float = 1.0) -> Tensor:
        hidden: Tensor = self.side.embed_tokens(tokens) * scale
        return hidden + table[first : first + tokens.shape[1]]


class MarianStack(_Layered):
    """Fixed waves for positions; norms behind (Junczys-Dowmunt et al., "Marian", 2018)."""

    def embed(self, tokens: Tensor, past: int) -> Tensor:
        return self._embedded(tokens, self.side.embed_positions.weight, past, self.side.embed_scale)


class BartStack(_Layered):
    """Learnt positions, the first two of which are never used; a norm on what enters (Lewis et al., "BART", 2019)."""

    def embed(self, tokens: Tensor, past: int) -> Tensor:
        positions = self.side.embed_positions
        hidden: Tensor = self.side.layernorm_embedding(
            self._embedded(tokens, positions.weight, past + positions.offset)
        )
        return hidden


class M2mStack(_Layered):
    """Fixed waves that begin behind the filler's id; norms in front (Fan et al., "Beyond English-Centric …", 2020)."""

    def __init__(self, side: Any) -> None:
        super().__init__(side, before=True)

    def embed(self, tokens: Tensor, past: int) -> Tensor:
        positions = self.side.embed_positions
        return self._embedded(tokens, positions.weights, past + positions.padding_idx + 1)

    def close(self, hidden: Tensor) -> Tensor:
        answer: Tensor = self.side.layer_norm(hidden)
        return answer


class T5Stack(Stack):
    """Distances instead of positions; norms of length, in front (Raffel et al., "Exploring the Limits …", 2019)."""

    def __init__(self, side: Any) -> None:
        super().__init__(side, before=True)

    @property
    def layers(self) -> Sequence[Any]:
        return list(self.side.block)

    def embed(self, tokens: Tensor, past: int) -> Tensor:
        hidden: Tensor = self.side.embed_tokens(tokens)
        return hidden

    def relative(self, queries: int, keys: int) -> Tensor:
        bias: Tensor = (
            self.side.block[0].layer[0].SelfAttention.compute_bias(queries, keys, past_seen_tokens=keys - queries)
        )
        return bias

    def looks(self, layer: Any) -> tuple[Attention, nn.Module]:
        return _short(layer.layer[0].SelfAttention), layer.layer[0].layer_norm

    def listens(self, layer: Any) -> tuple[Attention, nn.Module]:
        return _short(layer.layer[1].EncDecAttention), layer.layer[1].layer_norm

    def thinks(self, layer: Any) -> tuple[Step, nn.Module]:
        return layer.layer[-1].DenseReluDense, layer.layer[-1].layer_norm

    def close(self, hidden: Tensor) -> Tensor:
        answer: Tensor = self.side.final_layer_norm(hidden)
        return answer


STACKS: dict[str, type[MarianStack | BartStack | M2mStack | T5Stack]] = {
    "marian": MarianStack,
    "bart": BartStack,
    "m2m_100": M2mStack,
    "t5": T5Stack,
}
"""By transformers' type of the model."""


class Projection(nn.Module):
    """From what the decoder's last layer answers to logits: T5 scales before, Marian and BART have a bias."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.head: nn.Module = model.lm_head
        config = model.config
        self._scale = config.d_model**-0.5 if getattr(config, "scale_decoder_outputs", False) else 1.0
        bias = getattr(model, "final_logits_bias", None)
        # A buffer of zeros, as BART has it, would be a number more for each of the vocabulary in the file.
        self.bias = nn.Buffer(bias.clone()) if bias is not None and bias.any() else None

    def forward(self, hidden: Tensor) -> Tensor:
        """(…, width) to (…, vocabulary)."""
        logits: Tensor = self.head(hidden if self._scale == 1.0 else hidden * self._scale)
        return logits if self.bias is None else logits + self.bias


def _attention(module: Any) -> Attention:
    return Attention(module, module.num_heads, module.scaling)


def _short(module: Any) -> Attention:
    return Attention(module, module.n_heads, module.scaling, ("q", "k", "v", "o"))


def _think(layer: Any, hidden: Tensor) -> Tensor:
    answer: Tensor = layer.fc2(layer.activation_fn(layer.fc1(hidden)))
    return answer
