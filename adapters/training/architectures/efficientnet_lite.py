"""EfficientNet-Lite0: EfficientNet without squeeze-and-excitation, with ReLU6 everywhere, as its TensorFlow original.

Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", 2019; the Lite variants were
published by Google in 2020. Padding is TensorFlow's SAME, which is asymmetric at stride 2 on even sizes: symmetric
padding costs the published weights a few points.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo.catalogue.manifest import hash_file
from zoo.errors import InvalidInput

WEIGHTS_FILE = "efficientnet-lite0-57934424.pth"
# The file is a pickle: these very bytes were looked into, and no others are opened.
WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
CLASSES = 1000
WIDTH = 1280
EPSILON = 1e-3
# Blocks, kernel size, stride of the first, how much wider it is inside, channels.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM = 32
MAPS = {2: 24, 4: 40, 10: 112, 15: 320}
"""Blocks behind which the resolution is 1/4, 1/8, 1/16 and 1/32, and the channels there."""


class ConvNorm(nn.Module):
    """Convolution with SAME padding, BatchNorm, and ReLU6 unless ``active`` is false."""

    def __init__(
        self, channels: int, width: int, size: int = 1, *, stride: int = 1, groups: int = 1, active: bool = True
    ) -> None:
        super().__init__()
        padding = size // 2 if stride == 1 else 0
        self.conv = nn.Conv2d(channels, width, size, stride, padding, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(width, eps=EPSILON)
        self._active = active
        self._size, self._stride = size, stride  # not asked of the convolution: LoRA's in its place has neither

    def forward(self, hidden: Tensor) -> Tensor:
        """(batch, channels, height, width) to (batch, width, height / stride, width / stride), rounded up."""
        if self._stride > 1:
            hidden = functional.pad(hidden, same_padding(hidden, self._size, self._stride))
        hidden = self.norm(self.conv(hidden))
        return functional.relu6(hidden) if self._active else hidden


def same_padding(hidden: Tensor, kernel: int, stride: int) -> list[int]:
    """Left, right, top and bottom so that the output has ceil(size / stride) places; the odd one goes behind.

    Worked out from the size that is there: 224 pixels with a 3×3 kernel at stride 2 get 0 and 1, 225 get 1 and 1.
    """
    found: list[int] = []
    for axis in (1, 0):
        length = hidden.shape[2 + axis]
        total = ((length + stride - 1) // stride - 1) * stride + kernel - length
        found += [total // 2, total - total // 2]
    return found


class InvertedResidual(nn.Module):
    """Widen with 1×1, convolve each channel, narrow with 1×1; a shortcut where input and output agree in shape.

    Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", 2018.
    """

    def __init__(self, channels: int, width: int, size: int, *, stride: int, expansion: int) -> None:
        super().__init__()
        inner = channels * expansion
        self.expand = ConvNorm(channels, inner) if expansion > 1 else nn.Identity()
        self.depthwise = ConvNorm(inner, inner, size, stride=stride, groups=inner)
        self.project = ConvNorm(inner, width, active=False)
        self._residual = stride == 1 and channels == width

    def forward(self, hidden: Tensor) -> Tensor:
        """(batch, channels, height, width) to (batch, width, height / stride, width / stride), rounded up."""
        inner: Tensor = self.project(self.depthwise(self.expand(hidden)))
        return hidden + inner if self._residual else inner


class EfficientNetLite(nn.Module):
    """Logits (batch, classes) of pictures (batch, 3, height, width); ``classes`` 0 leaves the classifier out."""

    def __init__(self, classes: int = CLASSES) -> None:
        super().__init__()
        self.stem = ConvNorm(3, STEM, 3, stride=2)
        self.blocks = nn.ModuleList()
        channels = STEM
        for count, size, stride, expansion, width in STAGES:
            for index in range(count):
                first = stride if index == 0 else 1
                self.blocks.append(InvertedResidual(channels, width, size, stride=first, expansion=expansion))
                channels = width
        self.top = ConvNorm(channels, WIDTH)
        self.width = WIDTH
        self.classifier = nn.Linear(WIDTH, classes) if classes else nn.Identity()

    def maps(self, pixels: Tensor) -> list[Tensor]:
        """Outputs of the blocks named in ``MAPS``: 24, 40, 112 and 320 channels at 1/4, 1/8, 1/16 and 1/32."""
        hidden = self.stem(pixels)
        found: list[Tensor] = []
        for place, block in enumerate(self.blocks):
            hidden = block(hidden)
            if place in MAPS:
                found.append(hidden)
        return found

    def pooled(self, pixels: Tensor) -> Tensor:
        """(batch, 1280): the mean over the last map, what the classifier sees."""
        hidden = self.stem(pixels)
        for block in self.blocks:
            hidden = block(hidden)
        return torch.mean(self.top(hidden), dim=(2, 3))

    def forward(self, pixels: Tensor) -> Tensor:
        """(batch, classes)."""
        logits: Tensor = self.classifier(self.pooled(pixels))
        return logits

    @staticmethod
    def read_weights(path: Path) -> dict[str, Tensor]:
        """The published weights under this network's names.

        Raises ``InvalidInput`` (``unsafe_weights``) for other bytes than the published ones: the format can run
        programs, so only the file whose hash is known here is opened.
        """
        if hash_file(path) != WEIGHTS_SHA256:
            message = f"{path.name} is not the file that was published, and a pickle from elsewhere is never opened."
            raise InvalidInput(message, code="unsafe_weights")
        return own_names(torch.load(path, map_location="cpu", weights_only=True))


def own_names(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The published names (``_blocks.3._depthwise_conv.weight``, ``_fc.bias``) as this network's.

    Names that are not of this network stay as they are, so that whoever loads them can tell of them.
    """
    return {_own_name(name): tensor for name, tensor in published.items()}


def _own_name(name: str) -> str:
    parts = name.split(".")
    if parts[0] == "_blocks" and len(parts) == 4:
        # Block 0 does not widen, yet its norms keep the numbers of the others.
        return ".".join(["blocks", parts[1], _BLOCK.get(parts[2], parts[2]), parts[3]])
    return ".".join([_OUTER.get(parts[0], parts[0]), *parts[1:]])


_OUTER = {
    "_conv_stem": "stem.conv",
    "_bn0": "stem.norm",
    "_conv_head": "top.conv",
    "_bn1": "top.norm",
    "_fc": "classifier",
}
_BLOCK = {
    "_expand_conv": "expand.conv",
    "_bn0": "expand.norm",
    "_depthwise_conv": "depthwise.conv",
    "_bn1": "depthwise.norm",
    "_project_conv": "project.conv",
    "_bn2": "project.norm",
}
