"""Counters of rollouts; label values are names of models that are there, and the three sides."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

from zoo.engine.tally import Counted

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class RolloutMetrics:
    """What rollouts of one service count, beside what each keeps for its own rule; see ``zoo.engine.rollouts``."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "zoo_rollout_requests_total",
            "Requests of rollouts, by model and side: stable, canary, shadow.",
            ("model", "side"),
            registry=registry,
        )
        self._errors = Counter(
            "zoo_rollout_errors_total",
            "Requests of rollouts that a version failed to answer.",
            ("model", "side"),
            registry=registry,
        )
        self._seconds = Histogram(
            "zoo_rollout_seconds",
            "Time to the answer of a side, with the wait for a core.",
            ("model", "side"),
            buckets=SECONDS,
            registry=registry,
        )
        self._compared = Counter(
            "zoo_rollout_compared_total",
            "Mirrored requests whose two answers were compared.",
            ("model",),
            registry=registry,
        )
        self._agreed = Counter(
            "zoo_rollout_agreed_total",
            "The shares of those in which the shadow agreed, added up.",
            ("model",),
            registry=registry,
        )
        self._dropped = Counter(
            "zoo_rollout_dropped_total",
            "Requests that were not mirrored, for the server had enough to do.",
            ("model",),
            registry=registry,
        )
        self._roll_backs = Counter(
            "zoo_rollout_roll_backs_total",
            "Rollouts that their rule has ended.",
            ("model",),
            registry=registry,
        )

    def count_rollout(self, counted: Counted) -> None:
        """One request that a side has answered, or failed to."""
        self._requests.labels(counted.model, counted.side).inc()
        if counted.failed:
            self._errors.labels(counted.model, counted.side).inc()
        else:
            self._seconds.labels(counted.model, counted.side).observe(counted.seconds)
        if counted.agreed is not None:
            self._compared.labels(counted.model).inc()
            self._agreed.labels(counted.model).inc(counted.agreed)

    def count_dropped(self, model: str) -> None:
        """One request that was not mirrored."""
        self._dropped.labels(model).inc()

    def count_roll_back(self, model: str) -> None:
        """One rollout ended by its rule."""
        self._roll_backs.labels(model).inc()
