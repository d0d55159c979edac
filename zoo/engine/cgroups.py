"""The control groups that this process is in, all of whose limits hold: version 1 and 2 of the kernel's interface."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


def folders(controller: str, *, root: Path = ROOT, membership: Path = MEMBERSHIP) -> list[Path]:
    """Where files of a controller (``cpu``, ``memory``) may lie for this process's groups and for those around them.

    Inside a container the own group is often the root of what can be seen, whatever ``membership`` calls it.
    """
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        lines = []
    found = [root, root / controller]
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            found += _upwards(root, path)
        elif controller in controllers.split(","):
            found += _upwards(root / controller, path)
    return list(dict.fromkeys(found))


def _upwards(top: Path, path: str) -> Iterator[Path]:
    folder = top / path.lstrip("/")
    while folder != top and top in folder.parents:
        yield folder
        folder = folder.parent
