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
SLACK, LEAST = 0.25, 0.3  # of a run with one thread, and ms: processor time beside it that is no disturbance
PATIENCE = 1.5  # seconds that a calm turn is waited for
BREATH = 0.05  # seconds between turns that do not count
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


@dataclass(frozen=True)
class Clocks:
    """Seconds: of the wall, and of processor time that all threads of this process have taken."""

    wall: Callable[[], float] = time.perf_counter
    busy: Callable[[], float] = time.process_time
    sleep: Callable[[float], None] = time.sleep


def measured(run: Callable[[bool], object], *, cores: int, clocks: Clocks = Clocks()) -> Threads:  # noqa: B008
    """The faster way for a row that is alone: ``run`` runs it with every core where it is told True, else with one.

    Measured, as it depends on the graph: with two threads a short text of MiniLM took 3.1 ms instead of 5.7. In turns
    and by the best of each, so that what else begins or ends meanwhile does not decide. A turn in which other threads
    of this process kept a core busy does not count, unless all are so for ``PATIENCE`` seconds: while the rest of the
    service was imported, one thread seemed the faster way in four starts of five.
    """
    calm, disturbed = _Best(), _Best()
    until = clocks.wall() + PATIENCE
    while calm.turns < TRIALS:
        single, others = _timed(run, False, clocks)
        alone = _timed(run, True, clocks)[0] if cores > 1 else math.inf
        if others <= SLACK * single + LEAST:
            calm.take(single, alone)
            continue
        disturbed.take(single, alone)
        if clocks.wall() > until:
            break
        clocks.sleep(BREATH)
    best = calm if calm.turns else disturbed
    if best.alone > GAIN * best.single:
        return Threads(cores, 1, single_ms=best.single, alone_ms=best.single)
    return Threads(cores, cores, single_ms=best.single, alone_ms=best.alone)


@dataclass
class _Best:
    """The least milliseconds that either way took."""

    single: float = math.inf
    alone: float = math.inf
    turns: int = 0

    def take(self, single: float, alone: float) -> None:
        self.single, self.alone, self.turns = min(self.single, single), min(self.alone, alone), self.turns + 1


def _timed(run: Callable[[bool], object], whole: bool, clocks: Clocks) -> tuple[float, float]:
    """Milliseconds that a run took, and that threads beside one took meanwhile."""
    began, used = clocks.wall(), clocks.busy()
    run(whole)
    took = clocks.wall() - began
    return took * 1000, max(0.0, clocks.busy() - used - took) * 1000
