"""An anchor-free detection head: a small feature pyramid, towers shared by its levels, a box and a score a position.

Tian et al., "FCOS: Fully Convolutional One-Stage Object Detection", 2019. Instead of a branch for centreness, the class
score itself learns how well the box fits (Li et al., "Generalized Focal Loss", 2020), so one number is thresholded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

GROUPS = 8  # of GroupNorm: batches of a few pictures are too small for BatchNorm
PRIOR = 0.01  # score of every position before training; a higher one drowns the first steps in background
LARGEST = 6.0  # of a log distance: e^6 strides is more than any picture, and exp stays finite


class Pyramid(nn.Module):
    """Maps of one width each to maps of ``channels``, every one enriched by the coarser ones (Lin et al., 2017)."""

    def __init__(self, widths: Sequence[int], channels: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(width, channels, 1) for width in widths)
        self.smooth = nn.ModuleList(_layer(channels) for _ in widths)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Same order and sizes as ``maps``, finest first."""
        found: list[Tensor] = []
        above: Tensor | None = None
        for place in reversed(range(len(maps))):
            hidden: Tensor = self.lateral[place](maps[place])
            if above is not None:
                hidden = hidden + functional.interpolate(above, size=hidden.shape[2:], mode="nearest")
            above = hidden
            found.insert(0, self.smooth[place](hidden))
        return found


class FcosHead(nn.Module):
    """Maps of a body to (batch, positions, classes + 4): logits whose sigmoid is the score, and a box.

    Boxes are xmin, ymin, xmax, ymax in pixels of the prepared picture, not clipped to it. Positions run through the
    levels from fine to coarse, in each row by row, as ``grid`` lists them.
    """

    def __init__(
        self, widths: Sequence[int], strides: Sequence[int], classes: int, *, channels: int = 96, depth: int = 2
    ) -> None:
        super().__init__()
        self.widths = tuple(widths)
        self.strides = tuple(strides)
        self.classes = classes
        self.pyramid = Pyramid(widths, channels)
        self.class_tower = nn.Sequential(*(_layer(channels) for _ in range(depth)))
        self.box_tower = nn.Sequential(*(_layer(channels) for _ in range(depth)))
        self.class_logits = nn.Conv2d(channels, classes, 3, padding=1)
        self.distances = nn.Conv2d(channels, 4, 3, padding=1)
        self.scales = nn.Parameter(torch.ones(len(self.strides)))
        for layer in (self.class_logits, self.distances):
            nn.init.normal_(layer.weight, std=0.01)
        nn.init.constant_(self.class_logits.bias, -math.log((1 - PRIOR) / PRIOR))  # type: ignore[arg-type]
        nn.init.constant_(self.distances.bias, 1.0)  # type: ignore[arg-type]

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """``maps`` of the head's strides, finest first."""
        rows: list[Tensor] = []
        for level, hidden in enumerate(self.pyramid(maps)):
            logits = self.class_logits(self.class_tower(hidden)).flatten(2).transpose(1, 2)
            distances = self.distances(self.box_tower(hidden)).flatten(2).transpose(1, 2)
            # In float32 under autocast too: bfloat16 has eight bits, and a box is to be right to a pixel.
            logs = (distances.float() * self.scales[level]).clamp(max=LARGEST)
            points = level_grid(hidden.shape[2], hidden.shape[3], self.strides[level]).to(logs.device)
            reach = torch.exp(logs) * float(self.strides[level])
            boxes = torch.cat([points[:, :2] - reach[..., :2], points[:, :2] + reach[..., 2:]], dim=-1)
            rows.append(torch.cat([logits.float(), boxes], dim=-1))
        return torch.cat(rows, dim=1)


def level_grid(height: int, width: int, stride: int) -> Tensor:
    """(height × width, 3): x and y of each position's centre in pixels, and its stride."""
    y = (torch.arange(height, dtype=torch.float32) + 0.5) * stride
    x = (torch.arange(width, dtype=torch.float32) + 0.5) * stride
    rows = y.unsqueeze(1).expand(height, width).reshape(-1)
    columns = x.unsqueeze(0).expand(height, width).reshape(-1)
    return torch.stack([columns, rows, torch.full_like(rows, float(stride))], dim=1)


def grid(size: tuple[int, int], strides: Sequence[int]) -> Tensor:
    """(positions, 3) for a picture of ``size`` (height, width): x, y and stride, in the order of the head's rows."""
    return torch.cat([level_grid(math.ceil(size[0] / s), math.ceil(size[1] / s), s) for s in strides])


def _layer(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1, bias=False),
        nn.GroupNorm(GROUPS, channels),
        nn.ReLU(inplace=True),
    )
