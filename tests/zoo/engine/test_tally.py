"""The counts of a rollout and the rule: what is too many errors, too slow, or too different."""

from __future__ import annotations

from typing import Any

import pytest

from zoo.catalogue.rollout import Rollout, Rule
from zoo.engine.tally import SideName, Tally, percentile


def rollout(*, shadow: bool = False, **rule: Any) -> Rollout:
    versions: dict[str, Any] = {"shadow": 3} if shadow else {"canary": 2, "weight": 10}
    return Rollout(id="one", rule=Rule(**rule), since=0, **versions)


def counted(side: SideName = "canary", *, good: int = 0, bad: int = 0, tally: Tally | None = None) -> Tally:
    tally = tally or Tally("one")
    for place in range(good + bad):
        tally.count(side, 0.01, failed=place >= good)
    return tally


def test_a_canary_is_rolled_back_for_more_errors_than_the_rule_allows() -> None:
    assert counted(good=98, bad=2).verdict(rollout()) is None
    assert counted(good=97, bad=3).verdict(rollout()) == (
        "Version 2, the canary, failed 3 of 100 requests: more than 2.0 % (the stable version's rate and 2 points)"
        " of at least 100."
    )


def test_errors_that_the_stable_version_makes_too_are_no_reason() -> None:
    tally = counted("stable", good=95, bad=5)
    assert counted(good=94, bad=6, tally=tally).verdict(rollout()) is None
    assert counted(good=0, bad=2, tally=tally).verdict(rollout()) is not None


def test_a_canary_that_always_fails_is_over_as_soon_as_the_requests_to_come_cannot_help_it() -> None:
    assert counted(bad=2).verdict(rollout()) is None
    assert counted(bad=3).verdict(rollout()) is not None


def test_one_error_does_not_end_a_young_rollout() -> None:
    assert counted(bad=1).verdict(rollout()) is None
    assert counted(bad=1).verdict(rollout(min_requests=1)) is not None


def test_a_canary_is_rolled_back_for_a_p95_latency_of_more_than_the_allowed_ratio() -> None:
    tally = Tally("one")
    for _ in range(20):
        tally.count("stable", 0.010, failed=False)
    for _ in range(99):
        tally.count("canary", 0.021, failed=False)
    assert tally.verdict(rollout()) is None
    tally.count("canary", 0.021, failed=False)
    assert tally.verdict(rollout()) == (
        "Version 2, the canary, is too slow: its p95 latency is 21.0 ms, the stable version's 10.0 ms, and 2 times that"
        " is allowed."
    )
    assert tally.verdict(rollout(max_latency_ratio=2.2)) is None


def test_without_enough_answers_of_the_stable_version_latency_is_not_judged() -> None:
    tally = counted("stable", good=19)
    for _ in range(100):
        tally.count("canary", 5.0, failed=False)
    assert tally.verdict(rollout()) is None


def test_a_few_slow_answers_are_no_reason() -> None:
    tally = counted("stable", good=100)
    counted(good=96, tally=tally)
    for _ in range(4):
        tally.count("canary", 9.0, failed=False)
    assert tally.verdict(rollout()) is None


def test_a_shadow_is_given_up_when_it_agrees_too_seldom() -> None:
    tally = Tally("one")
    for place in range(100):
        tally.count("shadow", 0.01, failed=False, agreed=1.0 if place < 80 else 0.0)
    assert tally.verdict(rollout(shadow=True)) is None
    tally.count("shadow", 0.01, failed=False, agreed=0.0)
    assert tally.verdict(rollout(shadow=True)) == (
        "Version 3, the shadow, agrees with the stable version in 79.2 % of 101 answers: less than 80 % is not allowed."
    )


def test_a_shadow_that_fails_is_given_up_too() -> None:
    assert counted("shadow", bad=3).verdict(rollout(shadow=True)) is not None


def test_figures_are_totals_and_rates_of_the_last_thousand_requests() -> None:
    tally = counted(bad=10)
    for _ in range(1000):
        tally.count("canary", 0.004, failed=False)
    figures = tally.figures()["canary"]
    assert (figures["requests"], figures["errors"], figures["error_rate"]) == (1010, 10, 0.0)
    assert (figures["latency_ms_median"], figures["latency_ms_p95"]) == (4.0, 4.0)


def test_figures_of_nothing_are_empty_and_not_zero() -> None:
    shadow = Tally("one").figures()["shadow"]
    assert (shadow["latency_ms_p95"], shadow["agreement"], shadow["compared"], shadow["dropped"]) == (None, None, 0, 0)


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.95, 95), (0.99, 99), (1.0, 100)])
def test_a_percentile_is_one_of_the_values(share: float, value: int) -> None:
    assert percentile([float(number) for number in range(100, 0, -1)], share) == value
