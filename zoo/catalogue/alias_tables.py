"""Alias tables as they are on disk, each read again only once its file may have changed: every request asks for one."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass

from zoo.catalogue.alias import Alias, read_table

# A table that is replaced twice within a tick of the file system's clock may bear the stamp that it had before. One
# that was last changed so long before it was read has been seen by its stamp.
SETTLED = 100_000_000  # ns; ticks take 1 to 10 ms
_Stamp = tuple[int, int, int]


@dataclass(frozen=True)
class _Seen:
    stamp: _Stamp
    settled: bool
    table: Mapping[str, Alias]


class AliasTables:
    """Safe to use from any thread. Looking at a file takes one call of the system, reading it seven."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}

    def read(self, path: str) -> Mapping[str, Alias]:
        """The table in a file as it is now; raises ``OSError``, and ``ValueError`` for one that is damaged."""
        seen = self._seen.get(path)
        if seen is not None and seen.settled and _stamp(os.stat(path)) == seen.stamp:
            return seen.table
        now = time.time_ns()
        with open(path, "rb", buffering=0) as file:
            status = os.fstat(file.fileno())
            table = read_table(file.readall())
        self._seen[path] = _Seen(_stamp(status), now - status.st_mtime_ns > SETTLED, table)
        return table


def _stamp(status: os.stat_result) -> _Stamp:
    return status.st_mtime_ns, status.st_ino, status.st_size
