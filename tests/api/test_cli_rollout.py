"""`zoo rollout`: begun, shown, promoted and ended from a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from api.cli import app
from tests.api.canned_service import CannedService, canned_service

PATH = "/v1/models/tickets/aliases/live/rollout"
RUNNING: dict[str, Any] = {
    "object": "rollout",
    "model": "tickets",
    "alias": "live",
    "version": 1,
    "status": "running",
    "canary": 2,
    "weight": 10,
    "shadow": 3,
    "rule": {
        "automatic": True,
        "min_requests": 100,
        "max_error_points": 2.0,
        "max_latency_ratio": 2.0,
        "min_agreement": 0.8,
    },
    "sides": {
        "stable": {
            "version": 1,
            "requests": 900,
            "errors": 0,
            "error_rate": 0.0,
            "latency_ms_median": 3.14,
            "latency_ms_p95": 6.2,
        },
        "canary": {
            "version": 2,
            "requests": 100,
            "errors": 1,
            "error_rate": 0.01,
            "latency_ms_median": 3.3,
            "latency_ms_p95": 6.6,
        },
        "shadow": {
            "version": 3,
            "requests": 0,
            "errors": 0,
            "error_rate": 0.0,
            "latency_ms_median": None,
            "latency_ms_p95": None,
            "compared": 0,
            "agreement": None,
            "dropped": 7,
        },
    },
    "verdict": None,
    "last": None,
    "warnings": [],
}


@pytest.fixture
def service() -> Iterator[CannedService]:
    with canned_service() as running:
        yield running


def zoo(service: CannedService, *words: str) -> Result:
    return CliRunner(env={"ZOO_HOME": "/nonexistent"}).invoke(app, ["rollout", *words, "--url", service.url])


def test_a_rollout_is_shown_side_by_side(service: CannedService) -> None:
    service.says("GET", PATH, RUNNING)
    shown = zoo(service, "tickets").stdout
    for part in (
        "tickets@live",
        "running, version 1 is the stable one",
        "version 2 for 10 % of the requests",
        "after 100 requests: at most 2.0 points more errors",
        "3.1 ms",
        "1.0%",
    ):
        assert part in shown
    rows = [line.split() for line in shown.splitlines()[-3:]]
    assert rows == [
        ["stable", "1", "900", "0", "0.0%", "3.1", "ms", "6.2", "ms", "–"],
        ["canary", "2", "100", "1", "1.0%", "3.3", "ms", "6.6", "ms", "–"],
        ["shadow", "3", "0", "0", "0.0%", "–", "–", "–", "7"],
    ]


def test_json_is_the_services_own(service: CannedService) -> None:
    service.says("GET", PATH, RUNNING)
    assert json.loads(zoo(service, "tickets", "--json").stdout) == RUNNING


def test_a_rollout_is_begun_with_its_rule_and_warnings_are_told(service: CannedService) -> None:
    service.says("PUT", PATH, RUNNING | {"warnings": ["tickets@2 has other labels."]})
    result = zoo(service, "tickets", "live", "--canary", "2", "--weight", "10", "--shadow", "3", "--min-requests", "50")
    assert result.exit_code == 0
    assert service.calls[0].json() == {"canary": 2, "weight": 10, "shadow": 3, "rule": {"min_requests": 50}}
    assert result.stderr == "note: tickets@2 has other labels.\n"


def test_a_rule_can_be_switched_off(service: CannedService) -> None:
    service.says("PUT", PATH, RUNNING | {"rule": {"automatic": False}, "verdict": "It is too slow."})
    shown = zoo(service, "tickets", "--shadow", "3", "--no-automatic").stdout
    assert service.calls[0].json() == {"shadow": 3, "rule": {"automatic": False}}
    assert "none: it is never rolled back by itself" in shown and "It is too slow." in shown


def test_a_canary_is_promoted(service: CannedService) -> None:
    last = {"outcome": "promoted", "by": "request", "reason": "Promoted on request.", "at": 1}
    service.says("POST", PATH + "/promote", RUNNING | {"status": "promoted", "version": 2, "last": last})
    result = zoo(service, "tickets", "--promote")
    assert "promoted by hand; the alias is version 2." in " ".join(result.stdout.split())


def test_a_rollout_is_ended(service: CannedService) -> None:
    last = {"outcome": "rolled_back", "by": "rule", "reason": "Version 2 failed.", "at": 1}
    service.says("DELETE", PATH, RUNNING | {"status": "rolled_back", "last": last})
    shown = " ".join(zoo(service, "tickets", "--back").stdout.split())
    assert "rolled back by the rule; the alias is version 1. Version 2 failed." in shown


@pytest.mark.parametrize(
    "words",
    [
        ("--promote", "--back"),
        ("--back", "--canary", "2"),
        ("--min-requests", "50"),
        ("--shadow", "3", "--min-requests", "0"),
        ("--shadow", "3", "--min-agreement", "often"),
    ],
)
def test_what_cannot_go_together_is_refused_before_the_service_is_asked(
    service: CannedService, words: tuple[str, ...]
) -> None:
    result = zoo(service, "tickets", *words)
    assert result.exit_code == 65
    assert result.stderr.startswith("error: --") or "a rule belongs to a rollout" in result.stderr
    assert service.calls == []


def test_what_the_service_refuses_is_bad_data(service: CannedService) -> None:
    service.refuses("PUT", PATH, 404, "model_not_found", "tickets has no version 9 for canary; it has 1, 2.")
    result = zoo(service, "tickets", "--canary", "9", "--weight", "10")
    assert result.exit_code == 65
    assert result.stderr == "error: tickets has no version 9 for canary; it has 1, 2.\n"
