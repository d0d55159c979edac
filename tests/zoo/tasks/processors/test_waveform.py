"""Waveforms beside transformers' extractor of wav2vec2."""

from __future__ import annotations

import numpy as np
from transformers import Wav2Vec2FeatureExtractor

from zoo.tasks.processors.waveform import lengthened, standardised


def test_standardised_as_transformers_does_it() -> None:
    samples = np.asarray(np.random.default_rng(5).uniform(-0.2, 0.4, 9001), dtype=np.float32)
    expected = Wav2Vec2FeatureExtractor(do_normalize=True)(samples, sampling_rate=16_000)["input_values"][0]
    np.testing.assert_allclose(standardised(samples), expected, atol=1e-6)


def test_silence_stays_silent() -> None:
    np.testing.assert_array_equal(standardised(np.zeros(10, np.float32)), np.zeros(10, np.float32))


def test_a_sound_of_a_few_samples_is_lengthened_by_silence() -> None:
    assert lengthened(np.ones(3, np.float32)).tolist() == [1.0] * 3 + [0.0] * 397
    assert len(lengthened(np.ones(500, np.float32))) == 500
