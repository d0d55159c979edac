"""An adapter as the stacks of a body's graph hold it: padded to a class of ranks, the scale in B."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zoo.catalogue.adapter import LoraAdapter
from zoo.catalogue.slot_table import SlotTable
from zoo.catalogue.tensors import FloatArray
from zoo.errors import Unsupported

RANKS = (8, 16, 32, 64)
"""Classes of ranks; the last is the largest rank that adapters may have."""


@dataclass(frozen=True, eq=False)
class AdapterWeights:
    """What one slot holds, by the name of the stack; a stack that is not named holds zeros."""

    rank: int
    slots: Mapping[str, FloatArray]

    @classmethod
    def read(cls, folder: Path, table: SlotTable) -> AdapterWeights:
        """From a folder in peft's format; raises ``InvalidInput`` (``invalid_adapter``) and as ``of`` does."""
        return cls.of(LoraAdapter.read(folder), table)

    @classmethod
    def of(cls, adapter: LoraAdapter, table: SlotTable) -> AdapterWeights:
        """Raises ``Unsupported`` (``no_slot``) for an adapter of modules that the body's graph has no slots for."""
        fault = table.misfit(adapter)
        if fault is not None:
            raise Unsupported(f"The adapter cannot be served by its body: {fault}.", code="no_slot", param="model")
        highest = max(len(a) for a, _ in adapter.pairs.values())
        rank = next(one for one in RANKS if one >= highest)
        shapes = table.stacks(rank)
        slots: dict[str, FloatArray] = {}
        for module, (a, b) in adapter.pairs.items():
            linear = table.linears[module]
            down = slots.setdefault(linear.down, np.zeros(shapes[linear.down], dtype=np.float32))
            up = slots.setdefault(linear.up, np.zeros(shapes[linear.up], dtype=np.float32))
            first = linear.part * rank
            down[:, first : first + len(a)] = a.T
            up[: len(a)] = np.float32(adapter.scales[module]) * b.T
        return cls(rank, slots)
