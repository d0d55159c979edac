"""Parts of a spectrum are left out, and never too much of it."""

from __future__ import annotations

import pytest
import torch

from adapters.training.speech.masking import BANDS, GAPS, LONGEST, WIDEST, masked

BINS, FRAMES = 80, 300


def spectrum() -> torch.Tensor:
    return torch.rand(BINS, FRAMES, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("view", range(20))
def test_what_is_left_out_is_at_the_mean_and_bounded(view: int) -> None:
    clean = spectrum()
    changed = masked(clean, seed=(3, view)) != clean
    assert torch.allclose(masked(clean, seed=(3, view))[changed], clean.mean())
    assert changed.all(dim=1).sum() <= BANDS * int(WIDEST * BINS)
    assert changed.all(dim=0).sum() <= GAPS * int(LONGEST * FRAMES)


def test_the_same_seed_leaves_out_the_same() -> None:
    assert torch.equal(masked(spectrum(), seed=(1, 2)), masked(spectrum(), seed=(1, 2)))


def test_views_differ() -> None:
    views = {masked(spectrum(), seed=(1, view)).numpy().tobytes() for view in range(10)}
    assert len(views) == 10


def test_the_spectrum_itself_stays() -> None:
    clean = spectrum()
    masked(clean, seed=(0, 0))
    assert torch.equal(clean, spectrum())
