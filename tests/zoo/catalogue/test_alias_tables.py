"""Alias tables are read again once their file may have changed, also where its stamp is what it was."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from zoo.catalogue.alias import Alias, table_text
from zoo.catalogue.alias_tables import AliasTables


def written(path: Path, version: int, *, seconds_ago: float = 0.0) -> str:
    """A table whose alias ``live`` means a version; its file seems to have been changed then."""
    path.write_text(table_text({"live": Alias(version=version)}))
    changed = time.time_ns() - int(seconds_ago * 1e9)
    os.utime(path, ns=(changed, changed))
    return str(path)


def test_a_table_is_read_again_when_its_file_is_another(tmp_path: Path) -> None:
    tables = AliasTables()
    path = written(tmp_path / "aliases.json", 1, seconds_ago=60)
    assert tables.read(path)["live"].version == 1
    other = tmp_path / "other"
    written(other, 2, seconds_ago=60)
    os.replace(other, path)
    assert tables.read(path)["live"].version == 2


def test_a_file_that_has_just_changed_is_not_known_by_its_stamp(tmp_path: Path) -> None:
    tables = AliasTables()
    path = written(tmp_path / "aliases.json", 1)
    status = os.stat(path)
    assert tables.read(path)["live"].version == 1
    Path(path).write_text(table_text({"live": Alias(version=2)}))  # the same size and inode
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert tables.read(path)["live"].version == 2


def test_a_table_whose_file_stays_is_kept(tmp_path: Path) -> None:
    tables = AliasTables()
    path = written(tmp_path / "aliases.json", 1, seconds_ago=60)
    assert tables.read(path) is tables.read(path)


def test_a_file_that_has_gone_is_missed(tmp_path: Path) -> None:
    tables = AliasTables()
    path = written(tmp_path / "aliases.json", 1, seconds_ago=60)
    tables.read(path)
    os.unlink(path)
    with pytest.raises(FileNotFoundError):
        tables.read(path)
