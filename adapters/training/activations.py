"""The lower layers run once: what enters the first adapted layer is kept, and training starts there.

LoRA on the top k of L layers leaves the layers below as they are, so their output for an input never changes. An epoch
then costs 2k layer passes instead of 2L.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from adapters.training.features import by_length, forward
from adapters.training.layer_cut import LayerCut
from adapters.training.precision import rough
from adapters.training.recipe import Adaptation, Batch, Item

MAX_BYTES = 1_500_000_000


class Activations:
    """What enters step ``cut`` of the body for each item of some rows, and the network's outputs from there.

    Kept as they are, so that a step of training sees the very numbers of a whole pass; in float16 where only that stays
    within the bound; where neither does, or nothing lies below the cut, outputs are computed by whole passes.
    """

    def __init__(self, adaptation: Adaptation, cut: int) -> None:
        self._adaptation = adaptation
        self._cut = LayerCut(adaptation.steps, cut, adaptation.taps)
        self._kept: dict[Item, dict[str, tuple[Tensor, ...]]] = {}
        self._each = 1  # rows that the network reads for an item
        self._precision: torch.dtype | None = torch.float32 if cut > 0 else None

    @torch.no_grad()
    def gather(self, items: Sequence[Item], *, tick: Callable[[int, int], None] | None = None) -> Tensor | None:
        """One pass over the items, whose activations are kept: the pooled features (items, width) where those exist."""
        if self._precision is None and not self._adaptation.probes:
            return None
        features: list[Tensor | None] = [None] * len(items)
        done = 0
        for places in by_length(items):
            chosen = [items[place] for place in places]
            with rough(self._adaptation.defaults):
                pooled = self._pass(chosen, items)
            for row, place in enumerate(places if pooled is not None else ()):
                features[place] = pooled[row] if pooled is not None else None
            done += len(places)
            if tick is not None:
                tick(done, len(items))
        return torch.stack([row for row in features if row is not None]) if self._adaptation.probes else None

    @torch.no_grad()
    def features(self, items: Sequence[Item]) -> Tensor:
        """Pooled features of items that are not kept."""
        adaptation = self._adaptation
        return forward(items, lambda chosen: adaptation.features(adaptation.collate(chosen)))

    def outputs(self, items: Sequence[Item]) -> Tensor:
        """What the network answers to some items: from what is kept of them, else by a whole pass."""
        network, collate = self._adaptation.network, self._adaptation.collate
        if any(item not in self._kept for item in items):
            whole: Tensor = network(**collate(items))
            return whole
        batch = collate(items, entered=True)
        names = self._kept[items[0]]
        entering = {name: _stacked([row for item in items for row in self._kept[item][name]]) for name in names}
        answer: Tensor = self._cut.upper(entering, lambda: network(**batch))
        return answer

    def _pass(self, chosen: Sequence[Item], items: Sequence[Item]) -> Tensor | None:
        adaptation = self._adaptation
        batch = adaptation.collate(chosen)
        if self._precision is None:
            return adaptation.features(batch).float() if adaptation.probes else None
        run = adaptation.features if adaptation.probes else (lambda inputs: adaptation.network(**inputs))
        entering = self._cut.lower(lambda: run(batch))
        self._each = len(next(iter(entering.values()))) // len(chosen)
        if not self._kept:
            self._precision = _precision(entering, chosen, items)
        if self._precision is not None:
            self._keep(chosen, entering)
        if not adaptation.probes:
            return None
        return self._cut.upper(entering, lambda: adaptation.features(batch)).float()

    def _keep(self, chosen: Sequence[Item], entering: Batch) -> None:
        longest = max(item.length for item in chosen)
        for place, item in enumerate(chosen):
            self._kept[item] = {name: self._rows(values, place, item, longest) for name, values in entering.items()}

    def _rows(self, values: Tensor, place: int, item: Item, longest: int) -> tuple[Tensor, ...]:
        """The rows of an item at a place: one, or several where the network reads several texts for each item."""
        of_texts = values.ndim == 3 and values.shape[1] == longest  # (rows, tokens, width), kept without their padding
        chosen = values[place * self._each : (place + 1) * self._each]
        return tuple((row[: item.length] if of_texts else row).to(self._precision).clone() for row in chosen)


def _precision(entering: Batch, chosen: Sequence[Item], items: Sequence[Item]) -> torch.dtype | None:
    """The widest type in which the activations of all items stay within the bound, going by those of some of them."""
    padded = max(item.length for item in chosen) * len(chosen)
    numbers = sum(values.numel() for values in entering.values()) / padded * sum(item.length for item in items)
    kinds = (next(iter(entering.values())).dtype, torch.float16)
    return next((kind for kind in kinds if numbers * kind.itemsize <= MAX_BYTES), None)


def _stacked(rows: Sequence[Tensor]) -> Tensor:
    """Rows as one tensor of float32; the first axis of shorter ones is filled with zeros."""
    longest = max(len(row) for row in rows)
    batch = torch.zeros(len(rows), longest, *rows[0].shape[1:])
    for place, row in enumerate(rows):
        batch[place, : len(row)] = row
    return batch
