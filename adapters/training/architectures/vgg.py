"""VGG as timm lays it out: ``features``, ``pre_logits.fc1|fc2`` (fully connected, as convolutions), ``head.fc``.

Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", 2014.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Plan = Sequence[int | Literal["M"]]
"""Channels of each 3×3 convolution; ``M`` halves the resolution."""

VARIANTS: dict[str, Plan] = {
    "vgg11": (64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"),
    "vgg13": (64, 64, "M", 128, 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"),
    "vgg16": (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M"),
    "vgg19": (64, 64, "M", 128, 128, "M", *(256,) * 4, "M", *(512,) * 4, "M", *(512,) * 4, "M"),
}
HIDDEN = 4096
GRID = 7  # what the first fully connected layer sees: 224 pixels after five halvings


class WholeMap(nn.Conv2d):
    """A convolution, computed as the linear layer that it is where the map is no larger than the kernel.

    ONNX Runtime 1.32 holds five copies of a convolution's weights while it loads them, and those of ``fc1`` are 411 MB.
    """

    def forward(self, hidden: Tensor) -> Tensor:
        """(batch, channels, height, width) to (batch, units, height - kernel + 1, width - kernel + 1)."""
        if hidden.shape[2:] != self.kernel_size:
            return super().forward(hidden)
        return functional.linear(hidden.flatten(1), self.weight.flatten(1), self.bias)[:, :, None, None]


class FullyConnected(nn.Module):
    """The two hidden layers of 4,096 units, as convolutions over a map of at least 7×7; without dropout."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = WholeMap(channels, HIDDEN, GRID)
        self.fc2 = WholeMap(HIDDEN, HIDDEN, 1)

    def forward(self, hidden: Tensor) -> Tensor:
        """(batch, channels, height, width) to (batch, 4096, height - 6, width - 6)."""
        return functional.relu(self.fc2(functional.relu(self.fc1(hidden))))


class Classifier(nn.Module):
    """The last layer, on the mean over what positions are left."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.fc = nn.Linear(width, classes) if classes else nn.Identity()

    def forward(self, pooled: Tensor) -> Tensor:
        """(batch, width) to (batch, classes)."""
        logits: Tensor = self.fc(pooled)
        return logits


class VGG(nn.Module):
    """Logits (batch, classes) of pictures (batch, 3, height, width).

    ``norm`` puts BatchNorm behind each convolution (``vgg16_bn``). ``hidden`` false leaves the fully connected layers
    out and pools the last map: nine tenths of the weights less, for pictures of about 32 pixels. ``classes`` 0 leaves
    the classifier out.
    """

    def __init__(self, plan: Plan, classes: int, *, norm: bool = False, hidden: bool = True) -> None:
        super().__init__()
        channels = 3
        layers: list[nn.Module] = []
        for width in plan:
            if width == "M":
                layers.append(nn.MaxPool2d(2, 2))
                continue
            layers.append(nn.Conv2d(channels, width, 3, padding=1))
            if norm:
                layers.append(nn.BatchNorm2d(width))
            layers.append(nn.ReLU())
            channels = width
        self.features = nn.Sequential(*layers)
        self.pre_logits = FullyConnected(channels) if hidden else nn.Identity()
        self.width = HIDDEN if hidden else channels
        self.head = Classifier(self.width, classes)

    def maps(self, pixels: Tensor) -> list[Tensor]:
        """What enters each halving of the resolution, finest first."""
        found: list[Tensor] = []
        for layer in self.features:
            if isinstance(layer, nn.MaxPool2d):
                found.append(pixels)
            pixels = layer(pixels)
        return found

    def pooled(self, pixels: Tensor) -> Tensor:
        """(batch, width): what the classifier sees."""
        return torch.mean(self.pre_logits(self.features(pixels)), dim=(2, 3))

    def forward(self, pixels: Tensor) -> Tensor:
        """(batch, classes)."""
        logits: Tensor = self.head(self.pooled(pixels))
        return logits
