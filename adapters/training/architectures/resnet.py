"""ResNet as timm and torchvision lay it out: ``conv1``, ``bn1``, ``layer1`` … ``layer4``, ``fc``.

He et al., "Deep Residual Learning for Image Recognition", 2015; in bottlenecks the stride sits on the 3×3 convolution
(Goyal et al., 2017), as in all published weights of this layout.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTHS = (64, 128, 256, 512)
VARIANTS: dict[str, tuple[Literal["basic", "bottleneck"], tuple[int, ...]]] = {
    "resnet18": ("basic", (2, 2, 2, 2)),
    "resnet34": ("basic", (3, 4, 6, 3)),
    "resnet50": ("bottleneck", (3, 4, 6, 3)),
    "resnet101": ("bottleneck", (3, 4, 23, 3)),
    "resnet152": ("bottleneck", (3, 8, 36, 3)),
}


class BasicBlock(nn.Module):
    """Two 3×3 convolutions and a shortcut."""

    expansion = 1

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(channels, width, stride)

    def forward(self, hidden: Tensor) -> Tensor:
        """(batch, channels, height, width) to (batch, width, height / stride, width / stride)."""
        inner = functional.relu(self.bn1(self.conv1(hidden)))
        inner = self.bn2(self.conv2(inner))
        return functional.relu(inner + _through(self.downsample, hidden))


class Bottleneck(nn.Module):
    """1×1, 3×3 and 1×1 convolutions and a shortcut; four times as wide outside as inside."""

    expansion = 4

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, width * 4, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width * 4)
        self.downsample = _shortcut(channels, width * 4, stride)

    def forward(self, hidden: Tensor) -> Tensor:
        """(batch, channels, height, width) to (batch, 4 × width, height / stride, width / stride)."""
        inner = functional.relu(self.bn1(self.conv1(hidden)))
        inner = functional.relu(self.bn2(self.conv2(inner)))
        inner = self.bn3(self.conv3(inner))
        return functional.relu(inner + _through(self.downsample, hidden))


class ResNet(nn.Module):
    """Logits (batch, classes) of pictures (batch, 3, height, width).

    ``stem`` is ``large`` (7×7 with stride 2, then pooling) for photographs or ``small`` (3×3 at full resolution) for
    pictures of about 32 pixels. ``classes`` 0 leaves the classifier out.
    """

    def __init__(
        self,
        block: Literal["basic", "bottleneck"],
        layers: Sequence[int],
        classes: int,
        *,
        widths: Sequence[int] = WIDTHS,
        stem: Literal["large", "small"] = "large",
    ) -> None:
        super().__init__()
        kind: type[BasicBlock] | type[Bottleneck] = BasicBlock if block == "basic" else Bottleneck
        channels = widths[0]
        size = 7 if stem == "large" else 3
        self.conv1 = nn.Conv2d(3, channels, size, 2 if stem == "large" else 1, size // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.maxpool = nn.MaxPool2d(3, 2, 1) if stem == "large" else nn.Identity()
        self._stages: list[str] = []
        for place, (count, width) in enumerate(zip(layers, widths, strict=True), start=1):
            blocks: list[nn.Module] = []
            for index in range(count):
                blocks.append(kind(channels, width, 2 if place > 1 and index == 0 else 1))
                channels = width * kind.expansion
            self.add_module(f"layer{place}", nn.Sequential(*blocks))
            self._stages.append(f"layer{place}")
        self.width = channels
        self.fc = nn.Linear(channels, classes) if classes else nn.Identity()

    def maps(self, pixels: Tensor) -> list[Tensor]:
        """The output of each stage, finest first."""
        hidden = self.maxpool(functional.relu(self.bn1(self.conv1(pixels))))
        found: list[Tensor] = []
        for stage in self._stages:
            hidden = self.get_submodule(stage)(hidden)
            found.append(hidden)
        return found

    def pooled(self, pixels: Tensor) -> Tensor:
        """(batch, width): the last map's mean."""
        return torch.mean(self.maps(pixels)[-1], dim=(2, 3))

    def forward(self, pixels: Tensor) -> Tensor:
        """(batch, classes)."""
        logits: Tensor = self.fc(self.pooled(pixels))
        return logits


def _shortcut(channels: int, width: int, stride: int) -> nn.Module | None:
    if stride == 1 and channels == width:
        return None
    return nn.Sequential(nn.Conv2d(channels, width, 1, stride, bias=False), nn.BatchNorm2d(width))


def _through(shortcut: nn.Module | None, hidden: Tensor) -> Tensor:
    if shortcut is None:
        return hidden
    projected: Tensor = shortcut(hidden)
    return projected
