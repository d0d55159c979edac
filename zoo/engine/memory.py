"""Memory of this process: what it holds, what it may hold, and what is free already, returned to the system."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from zoo.engine.cgroups import MEMBERSHIP, ROOT, folders

MODELS_SHARE = 0.5  # of the limit; the rest is for the program (90 MB), what runs need, and a worker beside it


def resident_bytes() -> int:
    """Resident memory of this process; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def memory_limit(*, root: Path = ROOT, membership: Path = MEMBERSHIP) -> int:
    """Bytes that this process may use: the least of physical memory and the limits of its cgroups, v1 or v2."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([physical, *_limits(folders("memory", root=root, membership=membership))])


def _limits(groups: Iterable[Path]) -> Iterator[int]:
    """A group without one says ``max`` or a huge number."""
    for group in groups:
        for name in ("memory.max", "memory.limit_in_bytes"):
            try:
                yield int((group / name).read_text())
            except (OSError, ValueError):
                continue


def trim() -> None:
    """Return free pages of the C library's heap, which it keeps otherwise; only glibc does, elsewhere nothing happens.

    ONNX Runtime frees its copy of a file when it has read the weights from it: as much as the graph itself.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)


@dataclass(eq=False)
class Load:
    """Resident memory before and after; what grew is known to be its own only where nothing else was loaded then."""

    before: int
    after: int = 0
    alone: bool = True

    @property
    def growth(self) -> int:
        return self.after - self.before if self.alone else 0
