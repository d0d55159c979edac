"""Log-mel features beside transformers' extractor of Whisper."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from transformers import WhisperFeatureExtractor

from zoo.tasks.processors.log_mel import LogMel


def noise(count: int) -> NDArray[np.float32]:
    return np.asarray(0.1 * np.random.default_rng(count).standard_normal(count), dtype=np.float32)


@pytest.mark.parametrize("bins", [80, 128])
@pytest.mark.parametrize("count", [1, 100, 16_000, 16_077, 479_900, 480_000, 500_000])
def test_padded_or_cut_to_thirty_seconds_as_transformers_does_it(bins: int, count: int) -> None:
    samples = noise(count)
    extracted = WhisperFeatureExtractor(feature_size=bins)(samples, sampling_rate=16_000, return_tensors="np")
    ours = LogMel(bins)(samples, 3000)
    assert (ours.dtype, ours.shape) == (np.dtype("float32"), (bins, 3000))
    np.testing.assert_allclose(ours, extracted["input_features"][0], atol=1e-4)


def test_silence_is_as_transformers_has_it() -> None:
    extracted = WhisperFeatureExtractor()(np.zeros(8000, np.float32), sampling_rate=16_000, return_tensors="np")
    np.testing.assert_allclose(LogMel()(np.zeros(8000, np.float32), 3000), extracted["input_features"][0], atol=1e-4)


@pytest.mark.parametrize("count", [480, 16_000, 100_000])
def test_at_its_own_length_as_transformers_without_padding(count: int) -> None:
    samples = noise(count)
    extracted = WhisperFeatureExtractor()(
        samples, sampling_rate=16_000, padding="do_not_pad", truncation=False, return_tensors="np"
    )
    np.testing.assert_allclose(LogMel()(samples), extracted["input_features"][0], atol=1e-4)


@pytest.mark.parametrize(("count", "frames"), [(1, 1), (160, 1), (161, 2), (16_077, 101)])
def test_its_own_length_counts_a_begun_hop(count: int, frames: int) -> None:
    assert LogMel()(noise(count)).shape == (80, frames)
    assert LogMel().frames(count) == frames
