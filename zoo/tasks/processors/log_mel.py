"""Whisper's features: log-mel spectrograms, equal to transformers' WhisperFeatureExtractor within 1e-4."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

FLOOR = 1e-10
SPAN = 8.0  # powers of ten that are kept below the loudest value
CHUNK = 4096  # frames transformed at once: 13 MB


@dataclass(frozen=True)
class LogMel:
    """Log-mel features of mono sound at ``rate``: ``bins`` for each ``hop`` samples, windows of ``fft`` samples.

    After Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision" (2022), section 2.2, as in
    transformers' WhisperFeatureExtractor. Stateless and thread-safe.
    """

    bins: int = 80
    rate: int = 16_000
    fft: int = 400
    hop: int = 160

    def __call__(self, samples: NDArray[np.float32], frames: int | None = None) -> NDArray[np.float32]:
        """(bins, frames) of samples (n,), which are cut, or padded with silence, to ``frames`` * hop.

        ``None`` takes the sound's own length: one frame for each begun hop, at least one.
        """
        length = self.frames(len(samples)) if frames is None else frames
        # The window's middle lies on each hop; ends are mirrored (torch.stft, center=True).
        # A sound padded to its frames has all windows but the last one, which is left out, inside of its own samples.
        padded = np.zeros(length * self.hop, dtype=np.float32)
        kept = min(len(samples), len(padded))
        padded[:kept] = samples[:kept]
        half = self.fft // 2
        padded = np.pad(padded, half, mode="reflect") if len(padded) > half else np.pad(padded, half, mode="symmetric")
        windows = np.lib.stride_tricks.sliding_window_view(padded, self.fft)[:: self.hop][:length]
        mel = np.full((self.bins, length), FLOOR, dtype=np.float32)
        heard = min(length, (kept + half) // self.hop + 1)  # windows beyond hold nothing but the padding
        for start in range(0, heard, CHUNK):
            spectrum = np.fft.rfft(windows[start : min(start + CHUNK, heard)] * self._window)
            power = spectrum.real**2 + spectrum.imag**2
            mel[:, start : start + len(power)] = self._filters @ power.T
        np.log10(np.maximum(mel, FLOOR, out=mel), out=mel)
        np.maximum(mel, mel.max() - SPAN, out=mel)
        return np.asarray((mel + 4.0) / 4.0, dtype=np.float32)

    def frames(self, samples: int) -> int:
        """How many frames a sound of so many samples has."""
        return max(1, -(-samples // self.hop))

    @cached_property
    def _window(self) -> NDArray[np.float32]:
        """Hann's, periodic."""
        return np.asarray(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(self.fft) / self.fft), dtype=np.float32)

    @cached_property
    def _filters(self) -> NDArray[np.float32]:
        """(bins, fft / 2 + 1): triangles of equal area on Slaney's mel scale, from 0 Hz to 8 kHz."""
        edges = _hertz(np.linspace(_mel(0.0), _mel(8_000.0), self.bins + 2))
        places = np.linspace(0.0, self.rate / 2, self.fft // 2 + 1)
        up = (places - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
        down = (edges[2:, None] - places) / (edges[2:] - edges[1:-1])[:, None]
        area = 2.0 / (edges[2:] - edges[:-2])
        return np.asarray(np.maximum(0.0, np.minimum(up, down)) * area[:, None], dtype=np.float32)


# Slaney, "Auditory Toolbox" (1998): linear up to 1 kHz (15 mels), logarithmic above.
_STEP = 27.0 / np.log(6.4)


def _mel(hertz: float) -> float:
    return float(3.0 * hertz / 200.0 if hertz < 1_000.0 else 15.0 + np.log(hertz / 1_000.0) * _STEP)


def _hertz(mels: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(mels < 15.0, 200.0 * mels / 3.0, 1_000.0 * np.exp((mels - 15.0) / _STEP))
