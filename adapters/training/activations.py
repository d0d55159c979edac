"""The lower layers run once: what enters the first adapted layer is kept, and training starts there.

LoRA on the top k of L layers leaves the layers below as they are, so their output for a text never changes. An epoch
then costs 2k layer passes instead of 2L. The cache holds float32: a step sees the very numbers of a whole pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from adapters.training.features import by_length
from adapters.training.lora import blocks
from adapters.training.recipe import Adaptation, Item

MAX_BYTES = 1_500_000_000


def fits(items: Sequence[Item], width: int) -> bool:
    """Whether the cache of these items stays within its bound."""
    return sum(item.length for item in items) * width * 4 <= MAX_BYTES


class Activations:
    """What enters layer ``cut`` of the body's stack, for each item of some rows: tensors (length, width).

    Where there is nothing below the cut, or the items do not fit, nothing is kept and training takes whole passes.
    """

    def __init__(self, body: nn.Module, cut: int) -> None:
        _, self._stack = blocks(body)
        self._layers = list(self._stack)
        self._cut = cut
        self._kept: dict[int, Tensor] = {}
        self._current: Tensor | None = None
        self._keeping = False

    @torch.no_grad()
    def gather(
        self,
        adaptation: Adaptation,
        items: Sequence[Item],
        *,
        keep: int | None = None,
        tick: Callable[[int, int], None] | None = None,
    ) -> Tensor:
        """One whole pass over the items: keeps what enters the cut and returns the pooled features (items, width).

        Kept are the first ``keep`` items (all unless given): the others are only measured on, by whole passes.
        """
        keep = len(items) if keep is None else keep
        self._keeping = self._cut > 0 and fits(items[:keep], adaptation.head.in_features)
        features: list[Tensor | None] = [None] * len(items)
        seen: list[Tensor] = []
        handle = self._layers[self._cut].register_forward_pre_hook(
            lambda _, args, kwargs: seen.append(_hidden(args, kwargs)), with_kwargs=True
        )
        done = 0
        try:
            for places in by_length(items):
                seen.clear()
                pooled = adaptation.features(adaptation.collate([items[place] for place in places])).float()
                for row, place in enumerate(places):
                    features[place] = pooled[row]
                    if self._keeping and place < keep:
                        self._kept[id(items[place])] = seen[0][row, : items[place].length].clone()
                done += len(places)
                if tick is not None:
                    tick(done, len(items))
        finally:
            handle.remove()
        return torch.stack([row for row in features if row is not None])

    @contextmanager
    def shortened(self) -> Iterator[None]:
        """The body without the layers below the cut; what enters is what ``entering`` has been given."""
        if not self._keeping:
            yield
            return
        handle = self._layers[self._cut].register_forward_pre_hook(self._enter, with_kwargs=True)
        self._replace(self._layers[self._cut :])
        try:
            yield
        finally:
            self._replace(self._layers)
            handle.remove()

    def entering(self, items: Sequence[Item]) -> None:
        """Choose the items of the next pass, in the order in which they are collated."""
        if not self._keeping:
            return
        longest = max(item.length for item in items)
        width = self._kept[id(items[0])].shape[1]
        self._current = torch.zeros(len(items), longest, width)
        for row, item in enumerate(items):
            self._current[row, : item.length] = self._kept[id(item)]

    def _enter(self, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
        assert self._current is not None
        if args:
            return (self._current, *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": self._current}

    def _replace(self, layers: Sequence[nn.Module]) -> None:
        self._stack._modules = {str(place): layer for place, layer in enumerate(layers)}


def _hidden(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    hidden: Tensor = args[0] if args else kwargs["hidden_states"]
    return hidden
