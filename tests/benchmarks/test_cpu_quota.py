"""Where a CPU quota is written, with folders in place of the kernel's control groups."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.cpu_quota import affinity, quota


def test_a_quota_of_the_first_version_is_microseconds_of_a_period(tmp_path: Path) -> None:
    (tmp_path / "cpu").mkdir()
    with quota(0.5, root=tmp_path) as within:
        (group,) = (tmp_path / "cpu").iterdir()
        told = (group / "cpu.cfs_quota_us").read_text(), (group / "cpu.cfs_period_us").read_text()
        for file in group.iterdir():  # the kernel's files go with their group, these would keep it
            file.unlink()
    assert told == ("50000", "100000")
    assert within[-2:] == (str(group), str(tmp_path / "cpu"))


def test_a_quota_of_the_second_version_stands_beside_its_period(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu memory")
    (tmp_path / "cgroup.subtree_control").write_text("cpu")
    with quota(2, root=tmp_path):
        (group,) = (path for path in tmp_path.iterdir() if path.is_dir())
        told = (group / "cpu.max").read_text()
        (group / "cpu.max").unlink()
    assert told == "200000 100000"
    assert not group.exists()


def test_where_no_group_can_be_made_it_is_said(tmp_path: Path) -> None:
    with pytest.raises(OSError), quota(1, root=tmp_path):
        pass


def test_affinity_gives_whole_cpus_alone() -> None:
    assert affinity(1)[:2] == ("taskset", "-c")
    with pytest.raises(ValueError, match="0.5 CPUs need a quota"):
        affinity(0.5)
