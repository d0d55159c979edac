"""Which of the things in memory leave when there is not enough of it. Knows sizes and times, no models."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Resident:
    """Something in memory: its size in bytes, when it was last asked for (any clock), and how many use it now."""

    key: str
    bytes: int
    asked: float
    users: int = 0


def leavers(residents: Iterable[Resident], *, budget: int) -> list[str]:
    """Keys of those that have to leave so that the others fit into ``budget`` bytes.

    Those that nobody uses leave, least recently asked for first and no more than need be. What is in use stays though
    the budget be exceeded, until its last user is done; and so does the one asked for last, though it be too large.
    """
    everyone = sorted(residents, key=lambda resident: resident.asked)
    total = sum(resident.bytes for resident in everyone)
    leaving = []
    for resident in everyone[:-1]:
        if total <= budget:
            break
        if not resident.users:
            leaving.append(resident.key)
            total -= resident.bytes
    return leaving
