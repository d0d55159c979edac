"""Spectra with parts left out, so that a recogniser learns to do without any one of them.

SpecAugment without time warping: Park et al., "SpecAugment: A Simple Data Augmentation Method for Automatic Speech
Recognition", 2019.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

BANDS, WIDEST = 2, 15 / 80  # of all bins
GAPS, LONGEST = 2, 0.08  # of all frames


def masked(spectrum: Tensor, *, seed: tuple[int, ...]) -> Tensor:
    """(bins, frames) with up to so many bands and stretches of time at the mean; the same for the same seed."""
    draw = np.random.default_rng(seed)
    bins, frames = spectrum.shape
    heard, mean = spectrum.clone(), spectrum.mean()
    for _ in range(BANDS):
        first, behind = _part(bins, WIDEST, draw)
        heard[first:behind] = mean
    for _ in range(GAPS):
        first, behind = _part(frames, LONGEST, draw)
        heard[:, first:behind] = mean
    return heard


def _part(whole: int, share: float, draw: np.random.Generator) -> tuple[int, int]:
    """Where a part begins and ends that is at most ``share`` of the whole."""
    length = int(draw.integers(int(share * whole) + 1))
    first = int(draw.integers(whole - length + 1))
    return first, first + length
