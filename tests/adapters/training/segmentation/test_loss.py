"""The loss of a segmenter rewards the right shares, ignores what is ignored, and hears rare classes."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from adapters.training.segmentation.loss import segmentation_loss


def one_hot(classes: torch.Tensor, count: int) -> torch.Tensor:
    return functional.one_hot(classes, count).permute(0, 3, 1, 2).float()


def test_a_perfect_answer_costs_nothing_and_a_wrong_one_much() -> None:
    shares = one_hot(torch.tensor([[[0, 1], [1, 0]]]), 2)
    logits = (shares - 0.5) * 60
    assert float(segmentation_loss(logits, shares)) == pytest.approx(0.0, abs=1e-6)
    assert float(segmentation_loss(-logits, shares)) > 30


def test_an_undecided_answer_costs_what_can_be_worked_out_by_hand() -> None:
    shares = one_hot(torch.tensor([[[0, 1]]]), 2)
    loss = float(segmentation_loss(torch.zeros(1, 2, 1, 2), shares))
    # Cross-entropy ln 2. Dice of each class: common .5, squares .5 + 1, so 1 - 2 * .5 / 1.5 = 1/3.
    assert loss == pytest.approx(math.log(2) + 1 / 3, abs=1e-6)


def test_what_is_ignored_changes_nothing() -> None:
    shares = one_hot(torch.tensor([[[0, 1, 0]]]), 2)
    shares[..., 2] = 0
    logits = torch.tensor([[[[2.0, -1.0, 0.0]], [[0.0, 1.0, 0.0]]]])
    before = float(segmentation_loss(logits, shares))
    logits[..., 2] = torch.tensor([[[-9.0], [9.0]]])
    assert float(segmentation_loss(logits, shares)) == pytest.approx(before, abs=1e-6)


def test_a_picture_of_ignored_pixels_alone_is_a_number() -> None:
    loss = segmentation_loss(torch.randn(1, 3, 4, 4, requires_grad=True), torch.zeros(1, 3, 4, 4))
    assert float(loss.detach()) == 0.0


def test_a_class_that_does_not_occur_has_no_part_in_dice() -> None:
    two = one_hot(torch.tensor([[[0, 1]]]), 2)
    three = one_hot(torch.tensor([[[0, 1]]]), 3)
    logits = torch.tensor([[[[3.0, 0.0]], [[0.0, 3.0]]]])
    more = torch.cat([logits, torch.full((1, 1, 1, 2), -60.0)], dim=1)
    assert float(segmentation_loss(more, three)) == pytest.approx(float(segmentation_loss(logits, two)), abs=1e-6)


def test_losing_a_rare_class_costs_more_than_its_share_of_pixels() -> None:
    classes = torch.zeros(1, 10, 10, dtype=torch.long)
    classes[0, 0, 0] = 1
    shares = one_hot(classes, 2)
    right = (shares - 0.5) * 20
    lost = right.clone()
    lost[0, :, 0, 0] = torch.tensor([10.0, -10.0])
    # One pixel of a hundred: .2 of cross-entropy, and half of Dice.
    assert float(segmentation_loss(lost, shares) - segmentation_loss(right, shares)) == pytest.approx(0.7, abs=0.01)
