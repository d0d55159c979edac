"""The starter ``vgg-cifar10``: ``python -m adapters.pretraining.vgg_cifar10 DATA``; see ``small_pictures``."""

from __future__ import annotations

from adapters.pretraining.small_pictures import Cycle, Recipe, Run, main
from adapters.training.architectures.vgg import VGG, Plan

PLAN: Plan = (32, 64, "M", 64, 256, "M", 256, 256, "M", 256)
ARGUMENTS = {"plan": list(PLAN), "norm": True, "hidden": False}


def network(classes: int) -> VGG:
    """Seven convolutions with BatchNorm and no fully connected layers, 2.0 million weights."""
    return VGG(PLAN, classes, norm=True, hidden=False)


RUN = Run(cycles=(Cycle(16, 0.4),))


if __name__ == "__main__":
    main(Recipe("vgg-cifar10", "vgg", ARGUMENTS, network, stem="features.0", run=RUN))
