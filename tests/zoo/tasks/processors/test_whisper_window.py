"""The window of a clip: its own part whole, few positions for the silence behind it, and batches of mixed lengths."""

from __future__ import annotations

import numpy as np
import pytest

from zoo.tasks.processors.log_mel import LogMel
from zoo.tasks.processors.whisper_window import PLACES, stacked, window

MEL = LogMel()


def clip(seconds: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.random.default_rng(1).normal(0, 0.1, int(16_000 * seconds)).astype(np.float32)


@pytest.mark.parametrize("seconds", [0.01, 1.0, 3.3, 28.5, 29.2, 30.0])
def test_all_places_of_a_window_are_counted_once(seconds: float) -> None:
    made = window(clip(seconds), MEL)
    assert np.exp(made.weights).sum() == pytest.approx(PLACES, abs=1e-2)
    assert (np.diff(made.places) > 0).all()
    assert made.places[-1] < PLACES


def test_a_short_clip_has_few_positions() -> None:
    made = window(clip(3.0), MEL)
    assert (made.cost, made.features.shape) == (282, (80, 404))  # 200 for 4 s, 82 for the other 26
    assert made.weights[199] == 0
    assert made.weights[200] == pytest.approx(np.log(16))


def test_a_whole_window_has_every_position_and_the_features_of_thirty_seconds() -> None:
    made = window(clip(3.0), MEL, whole=True)
    np.testing.assert_array_equal(made.places, np.arange(PLACES))
    np.testing.assert_array_equal(made.sources, np.arange(PLACES))
    np.testing.assert_array_equal(made.features, MEL(clip(3.0), 3000))
    assert not made.weights.any()


def test_a_batch_is_as_long_as_its_longest_window_and_what_fills_it_weighs_nothing() -> None:
    short, long = window(clip(1.0), MEL), window(clip(9.0), MEL)
    batch = stacked([short, long])
    assert batch["features"].shape == (2, 80, long.features.shape[1])
    assert batch["weights"].shape == (2, long.cost)
    assert (batch["weights"][0, short.cost :] == np.float32(-1e9)).all()
    np.testing.assert_array_equal(batch["places"][1], long.places)
    np.testing.assert_array_equal(batch["features"][0, :, -1], short.features[:, -1])
