"""What a batch will take, from what batches took."""

from __future__ import annotations

import pytest

from zoo.engine.cost_model import CostModel


def taught(*, overhead: float, linear: float, square: float) -> CostModel:
    """Of runs that take ``overhead + (linear + square · longest) · rows · longest`` milliseconds."""
    model = CostModel(512)
    for _ in range(20):
        for rows, longest in ((1, 8), (8, 8), (1, 64), (8, 64), (1, 512), (2, 256), (16, 32), (4, 128)):
            model.learn(rows, longest, overhead + rows * longest * (linear + square * longest))
    return model


@pytest.mark.parametrize("shape", [(1, 8), (3, 100), (16, 32), (1, 512)])
def test_the_time_of_shapes_follows_from_other_shapes(shape: tuple[int, int]) -> None:
    rows, longest = shape
    model = taught(overhead=2.0, linear=0.1, square=0.0002)
    assert model.ms(rows, longest) == pytest.approx(2.0 + rows * longest * (0.1 + 0.0002 * longest), rel=0.05)


def test_nothing_is_foretold_before_anything_ran() -> None:
    assert CostModel(512).ms(4, 100) == 0.0


def test_one_run_foretells_itself() -> None:
    model = CostModel(512)
    model.learn(1, 16, 5.0)
    assert model.ms(1, 16) == pytest.approx(5.0)
    assert model.ms(2, 16) > 5.0


def test_a_machine_that_has_become_slower_is_noticed() -> None:
    model = taught(overhead=2.0, linear=0.1, square=0.0)
    for _ in range(20):
        for rows, longest in ((1, 8), (8, 64), (1, 512), (4, 128)):
            model.learn(rows, longest, 2 * (2.0 + 0.1 * rows * longest))
    assert model.ms(4, 64) == pytest.approx(2 * (2.0 + 0.1 * 4 * 64), rel=0.1)


def test_runs_of_one_shape_for_a_long_time_leave_the_model_sound() -> None:
    model = taught(overhead=2.0, linear=0.1, square=0.0)
    for _ in range(5000):
        model.learn(1, 33, 2.0 + 3.3)
    model.learn(8, 64, 2.0 + 51.2)
    assert model.ms(1, 33) == pytest.approx(5.3, rel=0.05)
    assert 0 < model.ms(16, 512) < 10_000


def test_no_time_is_below_nothing() -> None:
    model = CostModel(100)
    for ms in (5.0, 1.0, 9.0, 0.5):
        model.learn(1, 100, ms)
        model.learn(2, 10, 10 / ms)
    assert all(model.ms(rows, longest) > 0 for rows in (1, 5, 50) for longest in (1, 10, 100))
