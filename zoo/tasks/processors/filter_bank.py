"""Features of the Audio Spectrogram Transformer: Kaldi's log filter bank, equal to transformers' numpy extractor."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

WINDOW, HOP, FFT = 400, 160, 512
LOWEST = 20.0  # Hz
FLOOR = 1.192092955078125e-07
EMPHASIS = 0.97


@dataclass(frozen=True)
class FilterBank:
    """Filter-bank features of mono sound at ``rate``, standardised by ``mean`` and twice ``std`` where those are given.

    After Gong et al., "AST: Audio Spectrogram Transformer" (2021), section 2.1, as in transformers' ASTFeatureExtractor
    without torchaudio. Stateless and thread-safe.
    """

    bins: int = 128
    rate: int = 16_000
    mean: float = 0.0
    std: float = 0.5

    def __call__(self, samples: NDArray[np.float32], frames: int) -> NDArray[np.float32]:
        """(frames, bins): a frame for each 10 ms, cut, or padded with zeros before they are standardised."""
        needed = WINDOW + (frames - 1) * HOP
        padded = np.pad(samples[:needed], (0, max(0, WINDOW - len(samples)))).astype(np.float64)
        windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
        centred = windows - windows.mean(axis=1, keepdims=True)
        emphasised = centred.copy()
        emphasised[:, 1:] -= EMPHASIS * centred[:, :-1]
        emphasised[:, 0] *= 1 - EMPHASIS
        power = np.abs(np.fft.rfft(emphasised * np.hanning(WINDOW), FFT)) ** 2
        bank = np.zeros((frames, self.bins), dtype=np.float32)
        bank[: len(power)] = np.log(np.maximum(power @ self._filters, FLOOR))
        return np.asarray((bank - np.float32(self.mean)) / np.float32(2 * self.std), dtype=np.float32)

    @cached_property
    def _filters(self) -> NDArray[np.float64]:
        """(FFT / 2 + 1, bins): triangles on Kaldi's mel scale, from ``LOWEST`` to half of the rate."""
        edges = np.linspace(_mel(LOWEST), _mel(self.rate // 2), self.bins + 2)
        places = _mel(self.rate / FFT * np.arange(FFT // 2 + 1))[:, None]
        up = (places - edges[:-2]) / (edges[1:-1] - edges[:-2])
        down = (edges[2:] - places) / (edges[2:] - edges[1:-1])
        return np.asarray(np.maximum(0.0, np.minimum(up, down)), dtype=np.float64)


def _mel(hertz: float | NDArray[np.floating]) -> NDArray[np.float64]:
    return np.asarray(1127.0 * np.log(1.0 + np.asarray(hertz) / 700.0), dtype=np.float64)
