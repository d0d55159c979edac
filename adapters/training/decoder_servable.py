"""A decoder with its cache as it is served: its inputs and outputs, what may vary in them, and examples to try it."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from adapters.training.architectures.decoder_graph import DecoderGraph
from adapters.training.recipe import Batch, Servable, Size, seeded
from zoo.tasks.decoding.cached_decoder import cache_names


@dataclass(frozen=True)
class DecoderShape:
    """Sizes of a decoder; ``width`` is that of a head, ``most`` the tokens that it writes, ``positions`` hears."""

    vocabulary: int
    layers: int
    heads: int
    width: int
    most: int
    positions: int

    @property
    def names(self) -> tuple[str, ...]:
        """Of keys and values, in the order of inputs and outputs."""
        return cache_names(self.layers)


def decoder_servable(
    module: DecoderGraph, shape: DecoderShape, *, sizes: tuple[Size, ...], architecture: str, watched: bool = False
) -> Servable:
    """Some tokens more of every hypothesis of every row.

    ``sizes``: hypotheses, new tokens, those in the cache, positions of the encoder. ``watched``: whether the graph
    answers with attention too.
    """
    names = shape.names

    def example(rows: int, size: Size) -> Batch:
        group, new, past, positions = size
        drawn = seeded(rows)
        made: Batch = {
            "tokens": torch.randint(shape.vocabulary, (rows, group, new), generator=drawn),
            "at": torch.tensor([new - 1, 0]) if new > 1 else torch.tensor([0]),
            "weights": torch.zeros(rows, positions),
        }
        for name in names:
            made[f"past_{name}"] = torch.randn(rows, group, shape.heads, past, shape.width, generator=drawn)
        for name in names:
            sides = (shape.width, positions) if name.startswith("key") else (positions, shape.width)
            made[f"cross_{name}"] = torch.randn(rows, shape.heads, *sides, generator=drawn)
        return made

    axes_of = {
        "tokens": {0: "batch", 1: "group", 2: "new"},
        "at": {0: "wanted"},
        "weights": {0: "batch", 1: "positions"},
        **{f"past_{name}": {0: "batch", 1: "group", 3: "past"} for name in names},
        **{f"cross_{name}": {0: "batch", 3 if name.startswith("key") else 2: "positions"} for name in names},
    }
    return Servable(
        module=module.eval(),
        inputs=tuple(axes_of),
        outputs=("logits", *(["alignment"] if watched else []), *(f"new_{name}" for name in names)),
        example=example,
        sizes=sizes,
        axes={},
        axes_of=axes_of,
        bounds={"new": shape.most, "past": shape.most, "positions": shape.positions},
        architecture=architecture,
    )
