"""A control group with a CPU quota, as a container has one: what runs within sees it as its own root (needs root)."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
PERIOD = 100_000  # microseconds, as container runtimes set it

# The shell that runs it joins the group, and becomes a command for which the group's folder lies where the root's did.
_ENTER = """
echo $$ > "$1/cgroup.procs" && exec unshare --mount sh -c '
    mount --bind "$1" "$2" && shift 2 && exec "$@"' sh "$@"
"""


@contextmanager
def quota(cpus: float, *, root: Path = CGROUP) -> Iterator[tuple[str, ...]]:
    """What to write before a command so that it gets so many CPUs; raises ``OSError`` where no group can be made.

    The group is removed with the block; all that ran within has to have ended.
    """
    second = (root / "cgroup.controllers").exists()
    seen = root if second else root / "cpu"
    group = seen / f"adaptzoo-benchmark-{os.getpid()}-{cpus:g}"
    group.mkdir()
    try:
        if second:
            if "cpu" not in (root / "cgroup.subtree_control").read_text().split():
                (root / "cgroup.subtree_control").write_text("+cpu")
            (group / "cpu.max").write_text(f"{round(cpus * PERIOD)} {PERIOD}")
        else:
            (group / "cpu.cfs_period_us").write_text(str(PERIOD))
            (group / "cpu.cfs_quota_us").write_text(str(round(cpus * PERIOD)))
        if shutil.which("unshare") is None:
            raise FileNotFoundError("unshare (util-linux) is missing")
        yield ("sh", "-c", _ENTER, "sh", str(group), str(seen))
    finally:
        _removed(group)


def affinity(cpus: float) -> tuple[str, ...]:
    """The same with a set of whole CPUs, where there can be no quota; raises ``ValueError`` for a fraction."""
    if cpus != int(cpus):
        raise ValueError(f"{cpus:g} CPUs need a quota, and no control group can be made here")
    return ("taskset", "-c", ",".join(map(str, sorted(os.sched_getaffinity(0))[: int(cpus)])))


def _removed(group: Path) -> None:
    for _ in range(50):  # a process that has just ended may still be counted
        try:
            group.rmdir()
        except OSError:
            time.sleep(0.1)
        else:
            return
