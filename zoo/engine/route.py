"""The way of one request through a rollout: which version is chosen for it, and what counts as that version's fault."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from zoo.catalogue.rollout import Rollout
from zoo.engine.tally import SideName, Tally
from zoo.errors import InvalidInput, NotFound, QuotaExceeded, RunFailed, TooLarge, Unsupported, ZooError

GOLDEN = 0.6180339887498949  # the multiples of it, whole parts left out, share every part of 0..1 evenly
_NOT_OF_A_VERSION = frozenset({"overloaded", "draining", "deadline_exceeded"})
_OF_A_VERSION = frozenset({"unsupported_task", "unsupported_graph"})


@dataclass(frozen=True)
class Route:
    """Where a request goes. ``stable`` and ``chosen`` are exact versions, the same unless the canary was chosen."""

    name: str
    alias: str
    stable: str
    chosen: str
    rollout: Rollout
    tally: Tally

    @property
    def side(self) -> SideName:
        """Who answers it first."""
        return "stable" if self.chosen == self.stable else "canary"

    @property
    def shadow(self) -> str | None:
        """The exact version that gets a copy."""
        return None if self.rollout.shadow is None else f"{self.name}@{self.rollout.shadow}"


def is_chosen(name: str, rollout: Rollout, tally: Tally, key: str | None) -> bool:
    """Whether a request goes to the canary: by the hash of its key, or else in turn.

    Whose key is chosen stays so when the weight grows; another canary draws anew.
    """
    if rollout.canary is None:
        return False
    if key is None:
        return 100 * ((tally.turn() * GOLDEN) % 1) < rollout.weight
    digest = hashlib.sha256(f"{name}@{rollout.canary}:{key}".encode("utf-8", "replace")).digest()
    return 100 * (int.from_bytes(digest[:8], "big") / 2**64) < rollout.weight


def is_fault(error: Exception) -> bool:
    """Whether an error is the version's own: it cannot be loaded or fails, while request and server are fine."""
    if isinstance(error, NotFound | RunFailed):
        return True  # exactly this version was asked for, and it is gone; or its graph ends with an error
    if isinstance(error, InvalidInput | TooLarge):
        return False
    if isinstance(error, Unsupported):
        return error.code in _OF_A_VERSION
    return not is_server_full(error)


def is_server_full(error: Exception) -> bool:
    """Whether any version would have been refused."""
    return isinstance(error, QuotaExceeded) or (isinstance(error, ZooError) and error.code in _NOT_OF_A_VERSION)
