"""How many threads a process may use, from cgroup files that the tests write."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from zoo.engine.threads import Clocks, cpu_quota, granted_threads, measured


def version_2(root: Path, content: str) -> Path:
    (root / "cpu.max").write_text(content)
    return root


def version_1(root: Path, quota: str, period: str) -> Path:
    (root / "cpu").mkdir()
    (root / "cpu" / "cpu.cfs_quota_us").write_text(quota)
    (root / "cpu" / "cpu.cfs_period_us").write_text(period)
    return root


@pytest.fixture
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))


@pytest.mark.parametrize(
    ("content", "quota"),
    [
        ("max 100000\n", None),
        ("200000 100000\n", 2.0),
        ("150000 100000\n", 1.5),
        ("50000 100000\n", 0.5),
        ("30000 10000\n", 3.0),
    ],
)
def test_the_quota_of_version_2_is_read(tmp_path: Path, content: str, quota: float | None) -> None:
    assert cpu_quota(version_2(tmp_path, content)) == quota


@pytest.mark.parametrize(
    ("quota", "period", "cpus"),
    [("-1\n", "100000\n", None), ("400000\n", "100000\n", 4.0), ("25000\n", "100000\n", 0.25)],
)
def test_the_quota_of_version_1_is_read(tmp_path: Path, quota: str, period: str, cpus: float | None) -> None:
    assert cpu_quota(version_1(tmp_path, quota, period)) == cpus


def test_the_least_quota_of_the_own_group_and_those_around_it_counts(tmp_path: Path) -> None:
    root, membership = tmp_path / "fs", tmp_path / "membership"
    membership.write_text("0::/system.slice/zoo.service\n")
    (root / "system.slice" / "zoo.service").mkdir(parents=True)
    version_2(root, "max 100000\n")
    version_2(root / "system.slice", "400000 100000\n")
    version_2(root / "system.slice" / "zoo.service", "150000 100000\n")
    assert cpu_quota(root, membership=membership) == 1.5


def test_a_group_of_version_1_is_found_by_its_controller(tmp_path: Path) -> None:
    root, membership = tmp_path / "fs", tmp_path / "membership"
    membership.write_text("5:memory:/other\n4:cpu,cpuacct:/zoo\n")
    (root / "cpu" / "zoo").mkdir(parents=True)
    (root / "cpu" / "zoo" / "cpu.cfs_quota_us").write_text("50000\n")
    (root / "cpu" / "zoo" / "cpu.cfs_period_us").write_text("100000\n")
    assert cpu_quota(root, membership=membership) == 0.5


def test_a_machine_without_cgroups_has_no_quota(tmp_path: Path) -> None:
    assert cpu_quota(tmp_path) is None


@pytest.mark.parametrize(
    ("content", "granted"),
    [
        ("max 100000\n", 8),
        ("100000 100000\n", 1),
        ("50000 100000\n", 1),
        ("250000 100000\n", 2),
        ("1600000 100000\n", 8),
    ],
)
@pytest.mark.usefixtures("eight_cores")
def test_the_smaller_of_affinity_and_quota_is_granted_but_at_least_one(
    tmp_path: Path, content: str, granted: int
) -> None:
    assert granted_threads(root=version_2(tmp_path, content)) == granted


@pytest.mark.usefixtures("eight_cores")
def test_a_fraction_of_version_1_is_rounded_down(tmp_path: Path) -> None:
    assert granted_threads(root=version_1(tmp_path, "390000\n", "100000\n")) == 3


@pytest.mark.usefixtures("eight_cores")
def test_without_a_quota_the_affinity_rules(tmp_path: Path) -> None:
    assert granted_threads(root=tmp_path) == 8


def test_a_number_that_was_asked_for_is_kept(tmp_path: Path) -> None:
    assert granted_threads(5, root=version_2(tmp_path, "100000 100000\n")) == 5


class Machine:
    """Seconds that pass while something is run or slept; for ``disturbed`` of them another thread is busy as well."""

    def __init__(self, *, single: float, alone: float, disturbed: float = 0.0) -> None:
        self.seconds = self.used = 0.0
        self._taken = {False: single, True: alone}
        self._disturbed = disturbed

    def clocks(self) -> Clocks:
        return Clocks(wall=lambda: self.seconds, busy=lambda: self.used, sleep=self._pass)

    def run(self, whole: bool) -> None:
        beside = self.seconds < self._disturbed
        took = self._taken[whole] * (3 if whole and beside else 1)  # two threads that share a core with a third
        self._pass(took)
        self.used += took * (2 if whole or beside else 1)

    def _pass(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.mark.parametrize(("alone", "threads"), [(0.0031, 2), (0.0056, 1), (0.009, 1)])
def test_a_row_that_is_alone_gets_the_threads_that_were_faster(alone: float, threads: int) -> None:
    machine = Machine(single=0.0057, alone=alone)
    found = measured(machine.run, cores=2, clocks=machine.clocks())
    assert (found.workers, found.alone) == (2, threads)
    assert found.single_ms == pytest.approx(5.7)


def test_with_one_core_nothing_is_to_be_chosen() -> None:
    machine = Machine(single=0.0057, alone=0.001)
    found = measured(machine.run, cores=1, clocks=machine.clocks())
    assert (found.workers, found.alone) == (1, 1)
    assert found.alone_ms == found.single_ms == pytest.approx(5.7)


def test_turns_beside_other_work_of_the_process_do_not_count() -> None:
    machine = Machine(single=0.0057, alone=0.0031, disturbed=0.6)
    found = measured(machine.run, cores=2, clocks=machine.clocks())
    assert found.alone == 2
    assert found.alone_ms == pytest.approx(3.1)
    assert machine.seconds < 0.8


def test_work_that_does_not_end_is_waited_for_no_longer_than_a_moment() -> None:
    machine = Machine(single=0.0057, alone=0.0031, disturbed=3600)
    found = measured(machine.run, cores=2, clocks=machine.clocks())
    assert found.alone == 1
    assert found.single_ms == pytest.approx(5.7)
    assert machine.seconds < 2
