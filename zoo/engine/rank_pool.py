"""Memory for all adapters of one class of ranks: a stack for each input of the body's graph, as many slots in each.

Address space for every slot is reserved at once and takes memory only where adapters are written, so there is nothing
to grow and no run has to wait. A slot that is given back gives its memory back.
"""

from __future__ import annotations

import math
import mmap
import sys
from collections.abc import Mapping

import numpy as np

from zoo.catalogue.slot_table import SlotTable
from zoo.catalogue.tensors import FloatArray

FLOAT = 4  # bytes


def slot_bytes(table: SlotTable, rank: int) -> int:
    """What one adapter of this class takes if it adapts every layer."""
    return FLOAT * sum(math.prod(shape) for shape in table.stacks(rank).values())


class RankPool:
    """``stacks`` are (places, …) by input; place 0 stays zeros. No run may read a place while it is written.

    A free place holds zeros.
    """

    def __init__(self, table: SlotTable, rank: int, places: int) -> None:
        self.rank = rank
        self._regions: dict[str, mmap.mmap] = {}
        self.stacks: dict[str, FloatArray] = {}
        for name, shape in table.stacks(rank).items():
            size = FLOAT * math.prod(shape) * (places + 1)
            region = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            if hasattr(mmap, "MADV_NOHUGEPAGE"):
                try:  # pages of 2 MiB would let the first adapter take as much in each of the stacks
                    region.madvise(mmap.MADV_NOHUGEPAGE)
                except OSError:  # a kernel that knows no such pages
                    pass
            self._regions[name] = region
            self.stacks[name] = np.frombuffer(region, dtype=np.float32).reshape(places + 1, *shape)
        self._free = list(range(places, 0, -1))

    def take(self) -> int | None:
        """A free place; None where all are taken."""
        return self._free.pop() if self._free else None

    def write(self, place: int, slots: Mapping[str, FloatArray]) -> None:
        """Put an adapter into a place that was taken."""
        for name, values in slots.items():
            self.stacks[name][place] = values

    def give_back(self, place: int) -> None:
        """Free a place and its memory."""
        for name, stack in self.stacks.items():
            size = stack[place].nbytes
            _empty(self._regions[name], place * size, (place + 1) * size)
        self._free.append(place)


def _empty(region: mmap.mmap, start: int, end: int) -> None:
    """Make bytes zero; whole pages of them go back to the system, which gives zeros for them on Linux."""
    first, last = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE, end // mmap.PAGESIZE * mmap.PAGESIZE
    if first >= last or sys.platform != "linux":
        first = last = end
    else:
        region.madvise(mmap.MADV_DONTNEED, first, last - first)
    region[start:first] = bytes(first - start)
    region[last:end] = bytes(end - last)
