"""Masks: resized as torch resizes, the padding left out, and in memory that does not grow with the classes."""

from __future__ import annotations

import base64
import io
import tracemalloc

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from zoo.tasks.processors.masks import TILE, Axis, png, segment, weights

SIZES = [((16, 16), (37, 211)), ((128, 128), (480, 640)), ((64, 64), (20, 30)), ((1, 1), (5, 5)), ((16, 16), (1, 9))]


def resized(logits: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    return functional.interpolate(logits[None], size=size, mode="bilinear", align_corners=False)[0]


def random(classes: int, height: int, width: int) -> torch.Tensor:
    return torch.randn(classes, height, width, generator=torch.Generator().manual_seed(classes))


@pytest.mark.parametrize(("grid", "size"), SIZES, ids=str)
def test_weights_resize_as_torch_does(grid: tuple[int, int], size: tuple[int, int]) -> None:
    logits = random(3, *grid)
    own = weights(size[0], grid[0]) @ logits.numpy() @ weights(size[1], grid[1]).T
    np.testing.assert_allclose(own, resized(logits, size).numpy(), atol=3e-5)


def test_two_resizes_in_a_row_are_one_product() -> None:
    logits = random(3, 16, 16)
    rows, columns = (Axis(size, 64, 64, 16, via_input=True).weights() for size in (97, 150))
    expected = resized(resized(logits, (64, 64)), (97, 150)).numpy()
    np.testing.assert_allclose(rows @ logits.numpy() @ columns.T, expected, atol=3e-5)
    once = resized(logits, (97, 150)).numpy()
    assert np.abs(expected - once).max() > 0.01  # else the difference could not show


@pytest.mark.parametrize("via_input", [False, True])
def test_what_lies_in_the_padding_has_no_say(via_input: bool) -> None:
    rows = Axis(picture=50, inner=30, network=64, grid=16, via_input=via_input).weights()
    assert rows.shape == (50, 16)
    np.testing.assert_allclose(rows.sum(axis=1), 1.0, atol=1e-6)
    assert not rows[:, 9:].any()


def test_half_of_a_padded_input_is_stretched_over_the_picture() -> None:
    """A border at grid cell 4 of the 8 that the picture covers lies in the picture's middle."""
    logits = np.zeros((2, 16, 16), dtype=np.float32)
    logits[0, :4] = logits[1, 4:] = 1.0
    rows = Axis(picture=100, inner=32, network=64, grid=16).weights()
    columns = Axis(picture=40, inner=64, network=64, grid=16).weights()
    classes = segment(logits, rows, columns).classes
    assert (classes[:50] == 0).all()
    assert (classes[50:] == 1).all()


@pytest.mark.parametrize("classes", [2, 150, 300])
def test_the_highest_resized_logit_wins_across_tiles(classes: int) -> None:
    size = (TILE + 44, 2 * TILE + 7)
    logits = random(classes, 20, 24)
    found = segment(logits.numpy(), weights(size[0], 20), weights(size[1], 24))
    large = resized(logits, size)
    best = large.topk(2, dim=0).values
    sure = (best[0] - best[1] > 1e-4).numpy()
    assert sure.mean() > 0.99
    assert (found.classes == large.argmax(dim=0).numpy())[sure].all()
    assert sorted(found.scores) == np.unique(found.classes).tolist()


def test_the_first_of_equal_classes_wins() -> None:
    logits = np.ones((3, 4, 4), dtype=np.float32)
    logits[0] = 0
    found = segment(logits, weights(9, 4), weights(9, 4))
    assert (found.classes == 1).all()
    assert found.scores == {1: pytest.approx(np.e / (1 + 2 * np.e))}


def test_a_large_picture_of_many_classes_takes_little_memory() -> None:
    logits = (resized(random(150, 8, 8), (128, 128)) * 3).numpy()
    rows, columns = weights(1500, 128), weights(2000, 128)
    tracemalloc.start()
    segment(logits, rows, columns)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100_000_000  # all classes at once would be 1.8 GB


def test_a_mask_is_a_grey_png_in_plain_base64() -> None:
    mask = np.zeros((3, 5), dtype=bool)
    mask[1, 2:] = True
    with Image.open(io.BytesIO(base64.b64decode(png(mask), validate=True))) as picture:
        assert (picture.format, picture.mode, picture.size) == ("PNG", "L", (5, 3))
        assert np.asarray(picture).tolist() == [[0] * 5, [0, 0, 255, 255, 255], [0] * 5]
