"""The starter ``resnet-cifar10``: ``python -m adapters.pretraining.resnet_cifar10 DATA``; see ``small_pictures``."""

from __future__ import annotations

from adapters.pretraining.small_pictures import Cycle, Recipe, Run, main
from adapters.training.architectures.resnet import ResNet

ARGUMENTS = {"block": "basic", "layers": [1, 1, 1, 1], "widths": [32, 128, 256, 256], "stem": "small"}


def network(classes: int) -> ResNet:
    """Nine convolutions, a residual block in each of four stages; 2.4 million weights."""
    return ResNet("basic", (1, 1, 1, 1), classes, widths=(32, 128, 256, 256), stem="small")


RUN = Run(cycles=(Cycle(16, 0.4), Cycle(12, 0.2, hole=12), Cycle(4, 0.1)))


if __name__ == "__main__":
    main(Recipe("resnet-cifar10", "resnet", ARGUMENTS, network, stem="conv1", run=RUN))
