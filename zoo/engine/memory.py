"""Memory of this process: what it holds, what it may hold, and what is free already, returned to the system."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from zoo.engine.threads import CGROUP

MEMBERSHIP = Path("/proc/self/cgroup")
MODELS_SHARE = 0.5  # of the limit; the rest is for the program (90 MB), what runs need, and a worker beside it


def resident_bytes() -> int:
    """Resident memory of this process; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def memory_limit(*, root: Path = CGROUP, membership: Path = MEMBERSHIP) -> int:
    """Bytes that this process may use: the least of physical memory and the limits of its cgroups, v1 or v2."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([physical, *_cgroup_limits(root, membership)])


def _cgroup_limits(root: Path, membership: Path) -> Iterator[int]:
    """Limits of this process's groups and of those around them; a group without one says ``max`` or a huge number.

    Inside a container the own group is often the root of what can be seen, whatever ``membership`` calls it.
    """
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        lines = []
    places = {root / "memory.max", root / "memory/memory.limit_in_bytes"}
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            places |= {folder / "memory.max" for folder in _upwards(root, path)}
        elif "memory" in controllers.split(","):
            places |= {folder / "memory.limit_in_bytes" for folder in _upwards(root / "memory", path)}
    for place in places:
        try:
            yield int(place.read_text())
        except (OSError, ValueError):
            continue


def _upwards(top: Path, path: str) -> Iterator[Path]:
    folder = top / path.lstrip("/")
    while folder != top and top in folder.parents:
        yield folder
        folder = folder.parent


def trim() -> None:
    """Return free pages of the C library's heap, which it keeps otherwise; only glibc does, elsewhere nothing happens.

    ONNX Runtime frees its copy of a file when it has read the weights from it: as much as the graph itself.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)
