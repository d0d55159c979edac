"""Whether pictures have an up: decided by whether a probe on the frozen body learns from them lying on their side."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from adapters.training.features import FOLDS, Probe

SAMPLE = 240  # pictures looked at, each twice: 5 s on two cores with EfficientNet-Lite0
STRENGTH = 8.0  # of the penalty over all that a probe sees: its inverse, as in scikit-learn's C
# Least share of the loss on upright pictures that turned ones have to save. Over five samples of 160 to 240, on frozen
# EfficientNet-Lite0, it was: eurosat .030 to .038, hymenoptera -.014 to .018, flowers5 -.012 to .018.
GAIN = 0.025

Features = Callable[[Sequence[int], int], Tensor]
"""Features (pictures, width) of the pictures at some places, each turned by so many quarter turns."""


def turning_teaches(features: Features, targets: Sequence[int]) -> bool:
    """Whether a probe knows upright pictures better once it has also seen others turned by a quarter.

    Then quarter turns are one more way to look at a picture, as with those taken from above. ``targets`` are the
    classes of all pictures, as numbers.
    """
    places = random.Random(0).sample(range(len(targets)), min(SAMPLE, len(targets)))
    chosen = torch.tensor([targets[place] for place in places])
    upright, turned = features(places, 0), features(places, 1)
    fold = torch.arange(len(places)) % FOLDS
    classes, losses = max(targets) + 1, [0.0, 0.0]
    for index in range(FOLDS):
        inside, outside = fold != index, fold == index
        if not inside.any() or not outside.any():
            continue
        one, other = upright[inside], torch.cat([upright[inside], turned[inside]])
        for place, seen in enumerate((one, other)):
            probe = Probe(seen, chosen[inside].repeat(place + 1), classes, strength=STRENGTH / (place + 1))
            logits = probe.logits(upright[outside])
            losses[place] += float(functional.cross_entropy(logits, chosen[outside], reduction="sum"))
    return losses[1] < losses[0] * (1 - GAIN)
