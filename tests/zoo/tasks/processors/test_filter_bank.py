"""Kaldi's filter bank beside transformers' extractor of AST, which uses numpy where torchaudio is absent."""

from __future__ import annotations

import numpy as np
import pytest
from transformers import ASTFeatureExtractor

from zoo.tasks.processors.filter_bank import FilterBank


@pytest.mark.filterwarnings("ignore:At least one mel filter has all zero values")
@pytest.mark.parametrize("count", [400, 559, 560, 16_000, 16_077, 200_000])
def test_padded_or_cut_as_transformers_does_it(count: int) -> None:
    samples = np.asarray(0.1 * np.random.default_rng(count).standard_normal(count), dtype=np.float32)
    extractor = ASTFeatureExtractor()
    ours = FilterBank(128, 16_000, extractor.mean, extractor.std)(samples, 1024)
    assert (ours.dtype, ours.shape) == (np.dtype("float32"), (1024, 128))
    expected = extractor(samples, sampling_rate=16_000, return_tensors="np")["input_values"][0]
    np.testing.assert_allclose(ours, expected, atol=1e-5)


def test_other_sizes_without_standardising() -> None:
    samples = np.asarray(np.random.default_rng(2).uniform(-1, 1, 5000), dtype=np.float32)
    expected = ASTFeatureExtractor(num_mel_bins=32, max_length=20, do_normalize=False)(samples, sampling_rate=16_000)
    np.testing.assert_allclose(FilterBank(32)(samples, 20), np.asarray(expected["input_values"][0]), atol=1e-5)


def test_a_sound_shorter_than_a_window_has_one_frame() -> None:
    bank = FilterBank()(np.full(100, 0.5, np.float32), 4)
    assert np.any(bank[0] != 0) and not np.any(bank[1:])
