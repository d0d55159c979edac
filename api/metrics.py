"""Counters of this process in Prometheus' form; label values come from closed sets, never from a request."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from api.rollout_metrics import SECONDS, RolloutMetrics
from zoo.engine.loader import Loader
from zoo.engine.memory import resident_bytes
from zoo.errors import ZooError

if TYPE_CHECKING:  # predictions are answered before it is imported
    from adapters.queue import JobQueue

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """What one service counts; ``active`` is the number of requests in work at this moment."""

    def __init__(self, loader: Loader) -> None:
        self.active = 0
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "zoo_http_requests_total",
            "Requests by method, route template and status.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "zoo_http_request_seconds",
            "Time to the end of the response.",
            ("route",),
            buckets=SECONDS,
            registry=self._registry,
        )
        self._items = Counter(
            "zoo_predict_items_total",
            "Items predicted, by model and outcome.",
            ("model", "outcome"),
            registry=self._registry,
        )
        self._run = Histogram(
            "zoo_predict_run_seconds",
            "Time in the model, by model.",
            ("model",),
            buckets=SECONDS,
            registry=self._registry,
        )
        self.rollouts = RolloutMetrics(self._registry)
        self._registry.register(_Engine(loader, lambda: self.active))

    def watch(self, queue: JobQueue | None) -> None:
        """Show the jobs of this queue too, or that there is none."""
        self._registry.register(_Jobs(queue))

    def count_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """One finished request; ``route`` is its template."""
        self._requests.labels(method if method in _METHODS else "other", route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def count_prediction(self, model: str, *, items: int, failed: int, seconds: float) -> None:
        """One answered prediction of a known model; ``seconds`` is the time in the model."""
        self._items.labels(model, "ok").inc(items - failed)
        if failed:
            self._items.labels(model, "failed").inc(failed)
        self._run.labels(model).observe(seconds)

    def exposition(self) -> bytes:
        """All metrics as text; asks the queue, so not for the event loop."""
        return generate_latest(self._registry)


class _Engine(Collector):
    """Gauges of the engine, read at the moment of asking."""

    def __init__(self, loader: Loader, active: Callable[[], int]) -> None:
        self._loader = loader
        self._active = active

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("zoo_http_requests_active", "Requests in work.", value=self._active())
        loaded = len(self._loader.loaded())
        yield GaugeMetricFamily("zoo_models_loaded", "Model versions in memory.", value=loaded)
        yield from self._memory()
        yield from self._answers()
        yield GaugeMetricFamily("zoo_resident_memory_bytes", "Resident memory.", value=resident_bytes())
        rows = CounterMetricFamily("zoo_engine_rows", "Rows by what became of them.", labels=["outcome"])
        for outcome in ("run", "failed", "dropped", "expired", "refused"):
            rows.add_metric([outcome], self._loader.counts[outcome])
        yield rows
        yield CounterMetricFamily("zoo_engine_batches", "Batches run.", value=self._loader.counts["batches"])
        cost = CounterMetricFamily("zoo_engine_cost", "Tokens, pixels, samples that were run.", labels=["kind"])
        cost.add_metric(["real"], self._loader.counts["cost"])
        cost.add_metric(["padded"], self._loader.counts["padded_cost"])
        yield cost
        yield GaugeMetricFamily("zoo_engine_rows_waiting", "Rows in queues.", value=self._loader.rows_waiting())

    def _memory(self) -> Iterator[Metric]:
        memory = self._loader.memory()
        yield GaugeMetricFamily("zoo_models_loaded_bytes", "Memory of loaded versions.", value=memory.taken)
        yield GaugeMetricFamily("zoo_models_memory_budget_bytes", "Memory for loaded versions.", value=memory.budget)
        around = GaugeMetricFamily(
            "zoo_model_change_resident_bytes",
            "Resident memory before and after the last load and unload of a version.",
            labels=["version", "event", "when"],
        )
        for change in memory.changes:
            around.add_metric([change.key, change.event, "before"], change.before)
            around.add_metric([change.key, change.event, "after"], change.after)
        yield around
        counted = CounterMetricFamily("zoo_model_changes", "Loads and unloads.", labels=["version", "event"])
        for labels, count in memory.counts.items():
            counted.add_metric(labels, count)
        yield counted

    def _answers(self) -> Iterator[Metric]:
        counts = self._loader.answers()
        without = CounterMetricFamily("zoo_answers_without_run", "Answered without a run.", labels=["how"])
        without.add_metric(["shared"], counts.shared)
        without.add_metric(["cached"], counts.hits)
        yield without
        yield CounterMetricFamily("zoo_answer_cache_misses", "Not in the answer cache.", value=counts.misses)
        yield GaugeMetricFamily("zoo_answer_cache_bytes", "Answers that are kept.", value=counts.kept)
        yield GaugeMetricFamily("zoo_answer_cache_on", "0 while it would cost more than it saves.", value=counts.on)


class _Jobs(Collector):
    """Gauges of the job queue, read at the moment of asking."""

    def __init__(self, queue: JobQueue | None) -> None:
        self._queue = queue

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        depth = self._depth()
        yield GaugeMetricFamily("zoo_queue_up", "1 if the job queue answers.", value=depth is not None)
        jobs = GaugeMetricFamily("zoo_jobs", "Jobs by status.", labels=["status"])
        for status, count in sorted((depth or {}).items()):
            jobs.add_metric([status], count)
        yield jobs

    def _depth(self) -> dict[str, int] | None:
        if self._queue is None:
            return None
        try:
            return self._queue.depth()
        except ZooError:
            return None
