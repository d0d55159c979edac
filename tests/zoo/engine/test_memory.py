"""What a process may use, read from files of control groups that the tests write."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from zoo.engine.memory import memory_limit, resident_bytes

PHYSICAL = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
NONE = "9223372036854771712"  # how version 1 says that there is no limit


def limit(root: Path, membership: str, **files: str) -> int:
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_max", ".max").replace("_limit", ".limit_in_bytes")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    (root / "membership").write_text(membership)
    return memory_limit(root=root, membership=root / "membership")


@pytest.mark.parametrize(
    ("membership", "files", "expected"),
    [
        ("0::/\n", {"memory_max": "1073741824"}, 1073741824),
        ("0::/\n", {"memory_max": "max"}, PHYSICAL),
        ("0::/pod/box\n", {"pod__memory_max": "536870912", "pod__box__memory_max": "max"}, 536870912),
        ("0::/pod/box\n", {"pod__memory_max": "536870912", "pod__box__memory_max": "268435456"}, 268435456),
        ("0::/unseen/box\n", {"memory_max": "1073741824"}, 1073741824),
        ("4:memory:/box\n", {"memory__memory_limit": NONE, "memory__box__memory_limit": "268435456"}, 268435456),
        ("4:memory:/box\n", {"memory__memory_limit": "268435456"}, 268435456),
        ("4:memory:/\n0::/\n", {"memory__memory_limit": NONE}, PHYSICAL),
        ("", {}, PHYSICAL),
    ],
)
def test_the_least_limit_of_the_control_groups_around_the_process_counts(
    tmp_path: Path, membership: str, files: dict[str, str], expected: int
) -> None:
    assert limit(tmp_path, membership, **files) == expected


def test_a_system_without_control_groups_has_its_physical_memory(tmp_path: Path) -> None:
    assert memory_limit(root=tmp_path / "none", membership=tmp_path / "nothing") == PHYSICAL


def test_this_process_holds_more_than_the_interpreter_and_less_than_there_is() -> None:
    assert 5_000_000 < resident_bytes() < PHYSICAL
