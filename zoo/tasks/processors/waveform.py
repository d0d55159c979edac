"""Samples for models that hear the waveform itself (wav2vec2, HuBERT), as transformers' extractor prepares them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SHORTEST = 400  # samples that the first vector of wav2vec2's seven convolutions is made of


def standardised(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n,) with mean 0 and variance 1, as Wav2Vec2FeatureExtractor does it for one clip."""
    return np.asarray((samples - samples.mean()) / np.sqrt(samples.var() + 1e-7), dtype=np.float32)


def lengthened(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n,) with silence behind it where the convolutions would have nothing to answer with."""
    return np.pad(samples, (0, max(0, SHORTEST - len(samples))))
