"""How many threads this process may use: affinity and the cgroup's CPU quota, not the host's core count.

onnxruntime and torch size their pools by physical cores and are blind to both (measured: 2 threads with an affinity of
one CPU), which makes a container with a quota thrash.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from zoo.engine.cgroups import MEMBERSHIP, ROOT, folders

TRIALS = 5  # the first lays memory out
GAIN = 0.95  # of the time with one thread: what more threads have to save to be worth a second session


@dataclass(frozen=True)
class Threads:
    """How a version is run: ``workers`` runs at once with one thread each, a row that is alone with ``alone`` threads.

    ``single_ms`` and ``alone_ms`` are what one short item took with either when it was loaded.
    """

    workers: int
    alone: int
    single_ms: float
    alone_ms: float

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {name: round(value, 3) for name, value in asdict(self).items()}


def cpu_quota(root: Path = ROOT, *, membership: Path = MEMBERSHIP) -> float | None:
    """CPUs granted by the cgroups of this process, v2 (``cpu.max``) or v1 (``cpu.cfs_quota_us``); None: no limit."""
    groups = folders("cpu", root=root, membership=membership)
    return min((quota for group in groups if (quota := _quota(group)) is not None), default=None)


def _quota(group: Path) -> float | None:
    try:
        quota, period = (group / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (group / "cpu.cfs_quota_us").read_text().strip()
            period = (group / "cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    return None if quota in ("max", "-1") else int(quota) / int(period)


def granted_threads(wanted: int = 0, *, root: Path = ROOT, membership: Path = MEMBERSHIP) -> int:
    """``wanted`` if set, else what affinity and quota allow: at least one, fractions rounded down."""
    if wanted > 0:
        return wanted
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota(root, membership=membership)
    return max(1, int(min(cores, quota) if quota is not None else cores))


def measured(run: Callable[[bool], object], *, cores: int, clock: Callable[[], float] = time.perf_counter) -> Threads:
    """The faster way for a row that is alone: ``run`` runs it with every core where it is told True, else with one.

    Measured, as it depends on the graph: with two threads a short text of MiniLM took 3.1 ms instead of 5.7. In turns
    and by the best of each, so that what else begins or ends meanwhile does not decide.
    """
    best = {False: math.inf, True: math.inf}
    for _ in range(TRIALS):
        for whole in (False, True) if cores > 1 else (False,):
            started = clock()
            run(whole)
            best[whole] = min(best[whole], (clock() - started) * 1000)
    single, alone = best[False], best[True]
    if alone > GAIN * single:
        return Threads(cores, 1, single_ms=single, alone_ms=single)
    return Threads(cores, cores, single_ms=single, alone_ms=alone)
