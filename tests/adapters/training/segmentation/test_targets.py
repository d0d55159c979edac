"""Masks on the network's grid, and answers back at the picture's own size, where padding has no say."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from adapters.training.segmentation.targets import Frame, MaskTarget, at_own_size, own_classes, served_map, shares
from tests.tiny_segmenters import png_of
from zoo.tasks.processors.image import Exact, Fit, Preprocessing
from zoo.tasks.processors.masks import Axis, segment


def target_of(mask: np.ndarray[Any, Any], network: tuple[int, int]) -> MaskTarget:
    mask = mask.astype(np.uint8)
    frame = Frame.of((mask.shape[0], mask.shape[1]), Preprocessing(resize=Fit(*network)))
    return MaskTarget.made(mask, frame, lambda: mask)


def test_a_cell_gets_the_share_that_each_class_has_of_its_pixels() -> None:
    mask = np.zeros((8, 8))
    mask[:2, :4] = 1  # half of the first cell
    mask[4:, 4:] = 255
    mask[4:, 4:6] = 2  # half of the last one; the other half is ignored
    found = shares([target_of(mask, (8, 8))], 3, (2, 2))
    assert found.shape == (1, 3, 2, 2)
    assert found[0].flatten(1).tolist() == [[0.5, 1.0, 1.0, 0.0], [0.5, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.5]]


def test_padding_belongs_to_no_class() -> None:
    target = target_of(np.ones((4, 8)), (8, 8))
    assert target.frame == Frame((4, 8), (4, 8), (8, 8))
    assert shares([target], 2, (2, 2))[0].flatten(1).tolist() == [[0, 0, 0, 0], [1, 1, 0, 0]]


def test_masks_are_resized_by_the_nearest_value() -> None:
    target = target_of(np.array([[0, 4], [2, 6]]), (64, 64))
    assert sorted(set(target.mask.flatten().tolist())) == [0, 2, 4, 6]


def test_a_whole_input_is_resized_as_torch_does() -> None:
    logits = torch.randn(3, 16, 16, generator=torch.Generator().manual_seed(1))
    frame = Frame.of((97, 150), Preprocessing(resize=Exact(64, 64)))
    expected = functional.interpolate(logits[None], size=(97, 150), mode="bilinear", align_corners=False)[0]
    torch.testing.assert_close(at_own_size(logits, frame), expected)


@pytest.mark.parametrize("size", [(287, 384), (97, 150), (31, 20), (5, 300), (64, 64), (1, 1)])
@pytest.mark.parametrize("network", [(256, 256), (224, 320)])
def test_what_is_served_with_numpy_is_what_torch_makes_of_it(size: tuple[int, int], network: tuple[int, int]) -> None:
    frame = Frame.of(size, Preprocessing(resize=Fit(*network)))
    logits = torch.randn(4, network[0] // 4, network[1] // 4, generator=torch.Generator().manual_seed(size[0]))
    own = at_own_size(logits, frame)
    assert own.shape == (4, *size)
    rows, columns = (
        Axis(size[axis], frame.inner[axis], network[axis], logits.shape[1 + axis]).weights() for axis in (0, 1)
    )
    torch.testing.assert_close(torch.from_numpy(rows @ logits.numpy() @ columns.T), own, atol=2e-5, rtol=0)
    best = own.topk(2, dim=0).values
    sure = ((best[0] - best[1]) > 1e-4).numpy()
    served = segment(logits.numpy(), rows, columns).classes
    assert (served == own.argmax(dim=0).numpy())[sure].all()
    assert (own_classes(logits, frame) == own.argmax(dim=0).numpy())[sure].all()
    assert sure.mean() > 0.99


def test_logits_of_the_padding_do_not_reach_the_picture() -> None:
    frame = Frame.of((40, 128), Preprocessing(resize=Fit(128, 128)))
    logits = torch.zeros(2, 32, 32)
    before = at_own_size(logits, frame)
    logits[1, 10:] = 99.0
    assert torch.equal(at_own_size(logits, frame), before)


def answer(label: str, mask: list[list[int]]) -> dict[str, Any]:
    return {"label": label, "score": 0.5, "mask": base64.b64encode(png_of(np.array(mask, dtype=np.uint8))).decode()}


def test_a_served_answer_is_read_back_as_a_map() -> None:
    body = [answer("red", [[255, 0], [0, 0]]), answer("blue", [[0, 255], [255, 0]])]
    found = served_map(body, ("ground", "red", "blue"), (2, 2))
    assert found is not None
    assert found.tolist() == [[1, 2], [2, -1]]


@pytest.mark.parametrize(
    "body",
    [
        [answer("green", [[255, 0]])],
        [answer("red", [[255, 0], [0, 0]])],
        [answer("red", [[200, 0]])],
        [answer("red", [[255, 0]]), answer("blue", [[255, 0]])],
    ],
    ids=["unknown label", "other size", "grey", "overlap"],
)
def test_a_served_answer_of_another_form_is_none(body: list[dict[str, Any]]) -> None:
    assert served_map(body, ("red", "blue"), (1, 2)) is None
