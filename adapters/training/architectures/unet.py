"""A U-Net-like decoder on the maps of a convolutional body, and the whole network that segments pictures with it.

Ronneberger, Fischer and Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation", 2015: from the
coarsest map upwards, each step doubles the resolution, joins the body's map of that size and convolves.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

GROUPS = 8  # of GroupNorm: batches of a few pictures are too small for BatchNorm
CHANNELS = (96, 64, 48)  # of the decoder at 1/16, 1/8 and 1/4: .36 million weights on EfficientNet-Lite0's maps


class ConvNorm(nn.Module):
    """3×3 or 1×1 convolution, GroupNorm, ReLU."""

    def __init__(self, channels: int, width: int, size: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, width, size, padding=size // 2, bias=False)
        self.norm = nn.GroupNorm(GROUPS, width)

    def forward(self, hidden: Tensor) -> Tensor:
        """(batch, channels, h, w) to (batch, width, h, w)."""
        return functional.relu(self.norm(self.conv(hidden)))


class Join(nn.Module):
    """A coarser map, brought to the size of a finer one, and that finer one to one map."""

    def __init__(self, coarse: int, fine: int, width: int) -> None:
        super().__init__()
        self.fuse = ConvNorm(coarse + fine, width)

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """(batch, width, h, w) of the finer one's size."""
        raised = functional.interpolate(coarse, size=fine.shape[2:], mode="bilinear", align_corners=False)
        fused: Tensor = self.fuse(torch.cat([raised, fine], dim=1))
        return fused


class UNetDecoder(nn.Module):
    """Maps of ``widths`` channels, finest first, to logits (batch, classes, h, w) of the finest map's size.

    The coarsest map is joined by its own mean over the picture, so that every place knows what picture it is in (Liu et
    al., "ParseNet", 2015). ``channels`` are the decoder's, from coarse to fine, one fewer than maps.
    """

    def __init__(self, widths: Sequence[int], classes: int, *, channels: Sequence[int] = CHANNELS) -> None:
        super().__init__()
        if len(channels) != len(widths) - 1:
            raise ValueError("a decoder of n maps has n - 1 numbers of channels")
        self.channels = tuple(channels)
        self.bottom = ConvNorm(widths[-1], channels[0], 1)
        self.context = nn.Conv2d(widths[-1], channels[0], 1)
        coarse = channels[0]
        self.joins = nn.ModuleList()
        for fine, width in zip(reversed(widths[:-1]), channels, strict=True):
            self.joins.append(Join(coarse, fine, width))
            coarse = width
        self.refine = ConvNorm(coarse, coarse)
        self.classifier = nn.Conv2d(coarse, classes, 1)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """``maps`` finest first, as the body gives them."""
        deepest = maps[-1]
        hidden = self.bottom(deepest) + self.context(deepest.mean(dim=(2, 3), keepdim=True))
        for join, fine in zip(self.joins, reversed(maps[:-1]), strict=True):
            hidden = join(hidden, fine)
        logits: Tensor = self.classifier(self.refine(hidden))
        return logits


class Segmenter(nn.Module):
    """Body and head: logits (batch, classes, h, w) of pictures (batch, 3, height, width).

    ``body.maps(pixels)`` gives the maps, finest first, of which the head gets those from place ``first`` on; the
    body's forward is never used.
    """

    def __init__(self, body: nn.Module, head: nn.Module, *, first: int = 0) -> None:
        super().__init__()
        self.body = body
        self.head = head
        self._first = first

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Logits at the resolution of the finest map that the head gets."""
        maps: list[Tensor] = self.body.maps(pixel_values)  # type: ignore[operator]
        logits: Tensor = self.head(maps[self._first :])
        return logits
