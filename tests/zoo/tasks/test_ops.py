"""The arithmetic that tasks share: literal values, extremes, padding."""

from __future__ import annotations

import numpy as np
import pytest

from zoo.tasks import ops


def floats(*values: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.array(values, dtype=np.float32)


def test_softmax_gives_shares_of_one() -> None:
    np.testing.assert_allclose(ops.softmax(floats(0.0, 1.0, 2.0)), [0.09003057, 0.24472847, 0.66524096], rtol=1e-6)


def test_softmax_works_row_by_row() -> None:
    rows = np.array([[0.0, 0.0], [5.0, 5.0]], dtype=np.float32)
    assert ops.softmax(rows).tolist() == [[0.5, 0.5], [0.5, 0.5]]


@pytest.mark.filterwarnings("error")
def test_softmax_of_extremes_is_finite() -> None:
    np.testing.assert_allclose(ops.softmax(floats(1e38, -1e38, 0.0)), [1.0, 0.0, 0.0])


@pytest.mark.filterwarnings("error")
def test_sigmoid_of_extremes_is_finite() -> None:
    np.testing.assert_allclose(ops.sigmoid(floats(-1e30, 0.0, 1e30, 1.0)), [0.0, 0.5, 1.0, 0.73105858], atol=1e-7)


HIDDEN = np.array([[[1.0, -1.0], [3.0, -5.0], [100.0, 100.0]], [[2.0, 2.0], [4.0, 0.0], [6.0, 1.0]]], dtype=np.float32)
MASK = np.array([[1, 1, 0], [1, 1, 1]], dtype=np.int64)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("mean", [[2.0, -3.0], [4.0, 1.0]]),
        ("max", [[3.0, -1.0], [6.0, 2.0]]),
        ("cls", [[1.0, -1.0], [2.0, 2.0]]),
    ],
)
def test_pooling_sees_real_tokens_alone(mode: str, expected: list[list[float]]) -> None:
    assert ops.pool(HIDDEN, MASK, mode).tolist() == expected


def test_normalising_gives_length_one_and_keeps_the_direction() -> None:
    np.testing.assert_allclose(ops.normalise(floats(3.0, 4.0)), [0.6, 0.8], rtol=1e-6)


@pytest.mark.filterwarnings("error")
def test_a_zero_vector_stays_zero() -> None:
    assert ops.normalise(floats(0.0, 0.0)).tolist() == [0.0, 0.0]
