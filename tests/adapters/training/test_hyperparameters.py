"""From "auto" to numbers: what was asked for is kept, the rest lies in the ranges that a client may ask for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from adapters.jobs import Hyperparameters
from adapters.training.hyperparameters import Plan, resolve
from adapters.training.recipe import Defaults
from adapters.training.recipes.text_classification import TextAdaptation

ASKED: dict[str, Any] = {
    "n_epochs": 7,
    "batch_size": 24,
    "learning_rate": 0.003,
    "lora_rank": 5,
    "lora_alpha": 11.0,
    "lora_dropout": 0.25,
    "weight_decay": 0.5,
    "warmup_ratio": 0.125,
}
PICTURES = Defaults(
    updates=60,
    epochs=(2, 5),
    batch_size=(8, 24),
    learning_rate=(2e-3, 2e-3),
    lora_rank=4,
    top=0.25,
    views=3,
)
SIZES = [(1, 1, 8), (3, 2, 48), (60, 6, 128), (1000, 12, 256), (5000, 6, 512), (1_000_000, 24, 8192)]


def plan_for(
    *,
    rows: int = 240,
    layers: int = 6,
    limit: int | None = 128,
    defaults: Defaults = TextAdaptation.defaults,
    **asked: Any,
) -> Plan:
    return resolve(Hyperparameters(**asked), defaults, rows=rows, layers=layers, max_tokens=limit)


def test_everything_that_was_asked_for_is_kept() -> None:
    plan = plan_for(**ASKED, target_modules=("query", "value"))
    assert {name: getattr(plan, name) for name in ASKED} == ASKED
    assert plan.target_modules == ("query", "value")


@pytest.mark.parametrize(("name", "value"), ASKED.items())
def test_one_wish_alone_is_kept_among_automatic_values(name: str, value: Any) -> None:
    assert getattr(plan_for(**{name: value}), name) == value


@pytest.mark.parametrize(("rows", "layers", "max_tokens"), SIZES)
def test_automatic_values_lie_in_the_ranges_that_may_be_asked_for(rows: int, layers: int, max_tokens: int) -> None:
    plan = plan_for(rows=rows, layers=layers, limit=max_tokens)
    chosen = {name: getattr(plan, name) for name in ASKED}
    assert Hyperparameters(**chosen).model_dump(exclude_defaults=True) == chosen
    assert 1 <= plan.top_layers <= layers


@pytest.mark.parametrize("limit", [32, 128, None])
def test_where_inputs_are_cut_is_written_down(limit: int | None) -> None:
    assert plan_for(limit=limit).max_tokens == limit


@pytest.mark.parametrize(
    ("rows", "epochs", "batch_size"), [(8, 5, 8), (120, 4, 8), (999, 2, 8), (1000, 2, 24), (10_000, 2, 24)]
)
def test_updates_and_their_bounds_are_those_of_the_kind_of_adaptation(rows: int, epochs: int, batch_size: int) -> None:
    plan = plan_for(rows=rows, layers=16, limit=None, defaults=PICTURES)
    assert (plan.n_epochs, plan.batch_size) == (epochs, batch_size)
    assert (plan.learning_rate, plan.lora_rank, plan.lora_alpha, plan.views) == (2e-3, 4, 8.0, 3)


@pytest.mark.parametrize(("layers", "top"), [(16, 4), (5, 2), (1, 1)])
def test_a_share_of_the_steps_is_adapted_and_at_least_one(layers: int, top: int) -> None:
    assert plan_for(layers=layers, defaults=PICTURES).top_layers == top


def test_all_steps_are_adapted_where_layers_were_asked_for_by_name() -> None:
    assert plan_for(layers=16, defaults=PICTURES, target_modules=("conv2",)).top_layers == 16


def test_a_multiplier_scales_the_rate_that_was_asked_for() -> None:
    assert plan_for(learning_rate=0.002, learning_rate_multiplier=3).learning_rate == pytest.approx(0.006)


def test_a_multiplier_scales_the_automatic_rate() -> None:
    automatic = plan_for().learning_rate
    assert plan_for(learning_rate_multiplier=0.5).learning_rate == pytest.approx(automatic / 2)


def test_no_multiplier_drives_the_rate_beyond_what_may_be_asked_for() -> None:
    assert plan_for(learning_rate=0.1, learning_rate_multiplier=100).learning_rate == 0.1


@pytest.mark.parametrize("asked", [{}, {"target_modules": ("query",)}, ASKED])
def test_a_plan_can_be_written_as_json_with_a_value_for_every_field(asked: dict[str, Any]) -> None:
    written = plan_for(**asked).as_dict()
    assert json.loads(json.dumps(written, allow_nan=False)) == written
    assert None not in written.values()
    assert set(ASKED) <= set(written)


def test_equal_wishes_and_sizes_give_equal_plans() -> None:
    assert plan_for(n_epochs=4) == plan_for(n_epochs=4)
