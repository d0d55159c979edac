"""The loss of a segmenter: cross-entropy for every cell, and Dice, which gives a rare class the weight of a common one.

Milletari et al., "V-Net", 2016, for Dice with squares in the denominator.
"""

from __future__ import annotations

from torch import Tensor

DICE = 1.0  # weight beside the cross-entropy


def segmentation_loss(logits: Tensor, shares: Tensor) -> Tensor:
    """A scalar from ``logits`` and ``shares``, both (rows, classes, h, w).

    ``shares`` of a cell sum to one, or to less by what is ignored of it; what is ignored has no part in either term.
    Dice is over the classes that occur in these rows.
    """
    logs = logits.log_softmax(dim=1)
    asked = shares.sum(dim=1, keepdim=True)
    entropy = -(shares * logs).sum() / asked.sum().clamp(min=1.0)
    claimed = logs.exp() * asked
    common = (claimed * shares).sum(dim=(0, 2, 3))
    either = claimed.square().sum(dim=(0, 2, 3)) + shares.square().sum(dim=(0, 2, 3))
    occurs = shares.sum(dim=(0, 2, 3)) > 0
    dice = 1 - 2 * common / either.clamp(min=1e-6)
    loss: Tensor = entropy + DICE * (dice * occurs).sum() / occurs.sum().clamp(min=1)
    return loss
