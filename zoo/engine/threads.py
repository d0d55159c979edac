"""How many threads this process may use: affinity and the cgroup's CPU quota, not the host's core count.

onnxruntime and torch size their pools by physical cores and are blind to both (measured: 2 threads with an affinity of
one CPU), which makes a container with a quota thrash.
"""

from __future__ import annotations

import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def cpu_quota(root: Path = CGROUP) -> float | None:
    """CPUs granted by cgroup v2 (``cpu.max``) or v1 (``cpu.cfs_quota_us``); None where there is no limit."""
    try:
        quota, period = (root / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (root / "cpu/cpu.cfs_quota_us").read_text().strip()
            period = (root / "cpu/cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    if quota in ("max", "-1"):
        return None
    return int(quota) / int(period)


def granted_threads(wanted: int = 0, *, root: Path = CGROUP) -> int:
    """``wanted`` if set, else what affinity and quota allow: at least one, fractions rounded down."""
    if wanted > 0:
        return wanted
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota(root)
    return max(1, int(min(cores, quota) if quota is not None else cores))
