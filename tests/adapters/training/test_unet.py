"""The decoder: sizes of its answers, and that it learns."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from adapters.training.architectures.unet import Segmenter, UNetDecoder
from adapters.training.segmentation.loss import segmentation_loss
from adapters.training.segmentation.targets import Frame, MaskTarget, at_own_size, shares
from tests.tiny_segmenters import TinyBody, scene
from zoo.tasks.processors.image import Fit, Preprocessing, prepare

HOW = Preprocessing(resize=Fit(64, 64), mean=(0.5,) * 3, std=(0.25,) * 3)


def test_logits_have_the_size_of_the_finest_map() -> None:
    network = Segmenter(TinyBody(), UNetDecoder(TinyBody.widths, 5, channels=(16, 8)))
    assert network(torch.zeros(2, 3, 64, 96)).shape == (2, 5, 16, 24)


def test_a_segmenter_may_leave_the_finest_maps_out() -> None:
    network = Segmenter(TinyBody(), UNetDecoder(TinyBody.widths[1:], 5, channels=(16,)), first=1)
    assert network(torch.zeros(2, 3, 64, 96)).shape == (2, 5, 8, 12)


def test_the_decoder_on_a_real_body_is_small() -> None:
    decoder = UNetDecoder((24, 40, 112, 320), 12)
    assert 300_000 < sum(weight.numel() for weight in decoder.parameters()) < 1_000_000


def test_numbers_that_do_not_fit_the_maps_are_refused() -> None:
    with pytest.raises(ValueError, match="n - 1"):
        UNetDecoder((8, 8, 16), 2, channels=(16, 16, 8))


def test_it_learns_four_pictures_by_heart() -> None:
    torch.manual_seed(3)
    network = Segmenter(TinyBody(), UNetDecoder(TinyBody.widths, 3, channels=(16, 16)))
    scenes = [scene(64, 64, seed=seed) for seed in range(4)]
    pixels = torch.stack([torch.from_numpy(prepare(picture, HOW).pixels) for picture, _ in scenes])
    frame = Frame.of((64, 64), HOW)
    wanted = shares([MaskTarget.made(mask, frame, mask.copy) for _, mask in scenes], 3, (16, 16))
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-2)
    for _ in range(50):
        loss = segmentation_loss(network(pixels), wanted)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    with torch.no_grad():
        answers = [at_own_size(row, frame).argmax(dim=0).numpy() for row in network(pixels)]
    right = [float((answer == mask).mean()) for answer, (_, mask) in zip(answers, scenes, strict=True)]
    rarest = [float((answer == mask)[mask > 0].mean()) for answer, (_, mask) in zip(answers, scenes, strict=True)]
    assert min(right) > 0.95
    assert np.mean(rarest) > 0.85
