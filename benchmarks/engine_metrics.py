"""What a running service tells of its engine in `/metrics`; what a release does not count is None."""

from __future__ import annotations

import re

import httpx

DROPPED = 'zoo_engine_rows_total{outcome="dropped"}'
RUN = 'zoo_engine_rows_total{outcome="run"}'
REAL = 'zoo_engine_cost_total{kind="real"}'
PADDED = 'zoo_engine_cost_total{kind="padded"}'
_SAMPLE = re.compile(r"^([a-z_]+(?:\{[^}]*\})?) ([-+.0-9eE]+)$", re.MULTILINE)


def counters(port: int) -> dict[str, float]:
    """Every sample of a service, by name and labels as they are written."""
    text = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=30, trust_env=False).raise_for_status().text
    return {name: float(value) for name, value in _SAMPLE.findall(text)}


def waste(port: int, known: dict[str, float]) -> float | None:
    """Share of padding in what was computed since ``known`` was last brought up to date, which this does."""
    now = counters(port)
    real, padded = (now.get(name, 0.0) - known.get(name, 0.0) for name in (REAL, PADDED))
    known.clear()
    known.update(now)
    return 1 - real / padded if padded > 0 else None
