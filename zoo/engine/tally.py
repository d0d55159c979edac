"""What is counted of a rollout, and what its rule makes of the counts: by numbers of requests, never by the clock."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol

from zoo.catalogue.rollout import WINDOW, Rollout, Rule

SideName = Literal["stable", "canary", "shadow"]
COMPARABLE = 20  # answers of the stable version before its p95 latency is a measure; fewer where a rule waits for fewer
LATENCY_EVERY = 10  # requests of a canary between two looks at its latency, which sort both windows


@dataclass(frozen=True)
class Counted:
    """What the metrics are told of one request of a rollout; ``agreed`` is the share in which a shadow agreed."""

    model: str
    side: SideName
    seconds: float
    failed: bool
    agreed: float | None = None


class Observer(Protocol):
    """The metrics; told on the event loop or in a thread."""

    def count_rollout(self, counted: Counted) -> None: ...

    def count_dropped(self, model: str) -> None: ...

    def count_roll_back(self, model: str) -> None: ...


@dataclass(frozen=True)
class Figures:
    """One side in numbers. ``requests`` and ``errors`` since the start, the rest over the last 1,000 requests.

    Latency is from the door of the engine to the answer, with the wait, in milliseconds; None without an answer.
    """

    requests: int
    errors: int
    error_rate: float
    latency_ms_median: float | None
    latency_ms_p95: float | None


@dataclass
class _Side:
    requests: int = 0
    errors: int = 0
    failed: deque[bool] = field(default_factory=lambda: deque(maxlen=WINDOW))
    seconds: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))

    def add(self, seconds: float, failed: bool) -> None:
        self.requests += 1
        self.errors += failed
        self.failed.append(failed)
        if not failed:
            self.seconds.append(seconds)

    def figures(self) -> Figures:
        return Figures(
            requests=self.requests,
            errors=self.errors,
            error_rate=sum(self.failed) / max(1, len(self.failed)),
            latency_ms_median=_milliseconds(percentile(self.seconds, 0.5)),
            latency_ms_p95=_milliseconds(percentile(self.seconds, 0.95)),
        )


class Tally:
    """Counts of one rollout in this process; safe to use from several threads.

    ``over``: the rule has spoken, and this process sends the candidates nothing more, whenever that is written down.
    """

    def __init__(self, rollout: str) -> None:
        self.rollout = rollout
        self.over: str | None = None
        self._sides: dict[SideName, _Side] = {"stable": _Side(), "canary": _Side(), "shadow": _Side()}
        self._agreed: deque[float] = deque(maxlen=WINDOW)
        self._compared = 0
        self._dropped = 0
        self._turns = 0
        self._lock = threading.Lock()

    def turn(self) -> int:
        """The number of this request among those without a key."""
        with self._lock:
            self._turns += 1
            return self._turns

    def count(self, side: SideName, seconds: float, *, failed: bool, agreed: float | None = None) -> None:
        """One request that ``side`` answered or failed to; ``agreed``: share of it in which the shadow agreed."""
        with self._lock:
            self._sides[side].add(seconds, failed)
            if agreed is not None:
                self._compared += 1
                self._agreed.append(agreed)

    def drop(self) -> None:
        """One request that was not mirrored, for the server had enough to do."""
        with self._lock:
            self._dropped += 1

    def figures(self) -> dict[str, dict[str, Any]]:
        """Of each side its ``Figures``; of the shadow also ``compared``, ``agreement`` and ``dropped``."""
        with self._lock:
            found: dict[str, dict[str, Any]] = {name: asdict(side.figures()) for name, side in self._sides.items()}
            share = sum(self._agreed) / len(self._agreed) if self._agreed else None
            found["shadow"] |= {"compared": self._compared, "agreement": share, "dropped": self._dropped}
        return found

    def verdict(self, rollout: Rollout, *, at_once: bool = True) -> str | None:
        """Why a rollout has to be rolled back, in a sentence, or None.

        ``at_once=False`` looks at latency at every tenth request only.
        Error rate and agreement are judged as if every request that is missing to ``min_requests`` went well: the
        verdict falls as soon as they can no longer change it, so that a canary that always fails is soon over.
        """
        rule = rollout.rule
        with self._lock:
            candidates: list[tuple[SideName, int | None]] = [("canary", rollout.canary), ("shadow", rollout.shadow)]
            for name, version in candidates:
                if version is not None and (fault := self._errors(name, rule)):
                    return f"Version {version}, the {name}, {fault}"
            if rollout.canary is not None and (fault := self._slowness(rule, at_once)):
                return f"Version {rollout.canary}, the canary, {fault}"
            if rollout.shadow is not None and (fault := self._disagreement(rule)):
                return f"Version {rollout.shadow}, the shadow, {fault}"
        return None

    def _errors(self, name: SideName, rule: Rule) -> str | None:
        side, stable = self._sides[name], self._sides["stable"]
        failed = sum(side.failed)
        rate = failed / max(len(side.failed), rule.min_requests)
        allowed = sum(stable.failed) / max(1, len(stable.failed)) + rule.max_error_points / 100
        if not failed or rate <= allowed:
            return None
        share = f"{100 * allowed:.1f} % (the stable version's rate and {rule.max_error_points:g} points)"
        return f"failed {failed} of {len(side.failed)} requests: more than {share} of at least {rule.min_requests}."

    def _slowness(self, rule: Rule, at_once: bool) -> str | None:
        side, stable = self._sides["canary"], self._sides["stable"]
        beyond = side.requests - rule.min_requests
        if beyond < 0 or len(stable.seconds) < min(COMPARABLE, rule.min_requests):
            return None
        if beyond % LATENCY_EVERY and not at_once:
            return None
        slow, usual = percentile(side.seconds, 0.95), percentile(stable.seconds, 0.95)
        if slow is None or usual is None or slow <= rule.max_latency_ratio * usual:
            return None
        times = f"{slow * 1000:.1f} ms, the stable version's {usual * 1000:.1f} ms"
        return f"is too slow: its p95 latency is {times}, and {rule.max_latency_ratio:g} times that is allowed."

    def _disagreement(self, rule: Rule) -> str | None:
        missed = sum(1 - share for share in self._agreed)
        if missed <= (1 - rule.min_agreement) * max(len(self._agreed), rule.min_requests) + 1e-9:
            return None
        share = 1 - missed / len(self._agreed)
        counts = f"{100 * share:.1f} % of {len(self._agreed)} answers"
        return f"agrees with the stable version in {counts}: less than {100 * rule.min_agreement:g} % is not allowed."


def percentile(values: Sequence[float] | deque[float], share: float) -> float | None:
    """The smallest value that ``share`` of all values do not exceed; None of no values."""
    return sorted(values)[math.ceil(share * len(values)) - 1] if values else None


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)
