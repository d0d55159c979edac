"""EfficientNet-Lite0 as it was published: one file of weights that says nothing else of itself."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from adapters.training.architectures.efficientnet_lite import CLASSES, WEIGHTS_FILE, EfficientNetLite
from adapters.training.layouts.imagenet import imagenet_labels
from adapters.training.layouts.parts import Parts, fill, numbered_labels
from zoo.tasks.processors.image import Crop, Preprocessing, Shortest

# As the original evaluates it: a margin of 32 pixels around the crop, (pixel - 127) / 128.
PREPROCESSING = Preprocessing(
    resize=Shortest(256),
    resample="bicubic",
    crop=Crop(224, 224),
    mean=(127 / 255,) * 3,
    std=(128 / 255,) * 3,
)


def is_lite(checkpoint: Path) -> bool:
    """Whether the folder holds the published file."""
    return (checkpoint / WEIGHTS_FILE).is_file()


def read_lite(checkpoint: Path) -> Parts:
    """The network with its ImageNet classifier; raises ``InvalidInput`` for another file than the published one."""
    network, classifier = read_network(checkpoint)
    return Parts(
        network=network,
        steps=("stem", *(f"blocks.{place}" for place in range(len(network.blocks))), "top"),
        classifier=classifier,
        labels=imagenet_labels(checkpoint) or numbered_labels(CLASSES),
        architecture="efficientnet_lite",
        preprocessing=PREPROCESSING,
    )


def read_network(checkpoint: Path) -> tuple[EfficientNetLite, nn.Linear]:
    """The network without its classifier, and that; raises as ``read_lite`` does."""
    weights = EfficientNetLite.read_weights(checkpoint / WEIGHTS_FILE)
    with torch.device("meta"):
        network = EfficientNetLite()
    fill(network, weights)
    classifier = network.classifier
    assert isinstance(classifier, nn.Linear)
    network.classifier = nn.Identity()
    return network, classifier
