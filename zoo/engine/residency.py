"""Which of the things in memory leave when there is not enough of it. Knows sizes and times, no models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Resident:
    """Something in memory: its size in bytes, when it was last asked for (any clock), and how many use it now.

    ``shared`` names what it holds together with others, of ``shared_bytes`` beside its own, which leave with the last
    of them.
    """

    key: str
    bytes: int
    asked: float
    users: int = 0
    shared: str = ""
    shared_bytes: int = 0


def taken(residents: Iterable[Resident]) -> int:
    """Bytes of all; what some of them share is counted once."""
    everyone = list(residents)
    return sum(one.bytes for one in everyone) + sum({one.shared: one.shared_bytes for one in everyone}.values())


def leavers(residents: Iterable[Resident], *, budget: int) -> list[str]:
    """Keys of those that have to leave so that the others fit into ``budget`` bytes.

    Those that nobody uses leave, least recently asked for first and no more than need be. What is in use stays though
    the budget be exceeded, until its last user is done; and so does the one asked for last, though it be too large.
    """
    everyone = sorted(residents, key=lambda resident: resident.asked)
    total, sharers = taken(everyone), Counter(resident.shared for resident in everyone)
    leaving = []
    for resident in everyone[:-1]:
        if total <= budget:
            break
        if not resident.users:
            leaving.append(resident.key)
            sharers[resident.shared] -= 1
            total -= resident.bytes + (0 if sharers[resident.shared] else resident.shared_bytes)
    return leaving
