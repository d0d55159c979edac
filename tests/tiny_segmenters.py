"""Segmenters of a few thousand weights in hub layout and in the project's own, and pictures with masks to learn."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import nn
from transformers import (
    ConvNextConfig,
    SegformerConfig,
    SegformerForSemanticSegmentation,
    SwinConfig,
    UperNetConfig,
    UperNetForSemanticSegmentation,
)

LABELS = ("wall", "floor", "lamp", "door", "plant")
SIDE = 64  # of the input


def write_segformer(folder: Path, *, labels: Sequence[str] = LABELS, side: int = SIDE, **config: Any) -> Path:
    """A SegFormer of two thin stages' width, whose classes all win somewhere."""
    made = SegformerConfig(
        num_labels=len(labels),
        id2label=dict(enumerate(labels)),
        label2id={label: place for place, label in enumerate(labels)},
        **{
            "hidden_sizes": [8, 16, 16, 16],
            "depths": [1, 1, 1, 1],
            "num_attention_heads": [1, 2, 2, 2],
            "decoder_hidden_size": 16,
            **config,
        },
    )
    torch.manual_seed(11)
    return _write(folder, SegformerForSemanticSegmentation(made), labels, side)


def write_upernet(
    folder: Path,
    *,
    backbone: Literal["convnext", "swin"] = "convnext",
    labels: Sequence[str] = LABELS,
    side: int = SIDE,
) -> Path:
    """An UperNet on a tiny ConvNeXt or Swin."""
    stages = ["stage1", "stage2", "stage3"]
    body: Any
    if backbone == "convnext":
        body = ConvNextConfig(num_stages=3, hidden_sizes=[8, 8, 16], depths=[1, 1, 1], out_features=stages)
    else:
        body = SwinConfig(
            image_size=side,
            embed_dim=8,
            depths=[2, 1, 1],
            num_heads=[1, 2, 2],
            window_size=4,
            out_features=stages,
        )
    made = UperNetConfig(
        backbone_config=body,
        hidden_size=16,
        auxiliary_channels=8,
        num_labels=len(labels),
        id2label=dict(enumerate(labels)),
        label2id={label: place for place, label in enumerate(labels)},
    )
    torch.manual_seed(12)
    return _write(folder, UperNetForSemanticSegmentation(made), labels, side)


def _write(folder: Path, model: Any, labels: Sequence[str], side: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() > 1:
                weight.mul_(8.0)  # fresh weights are so small that every answer is nearly the same
            elif "layer_scale" not in name:  # biases of zero would be shared or left out by the exporter
                weight.add_(0.1 * torch.randn_like(weight))
        generator = torch.Generator().manual_seed(5)
        model.eval()
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean = 0.1 * torch.randn(module.num_features, generator=generator)
        logits = model(torch.randn(4, 3, side, side, generator=generator)).logits
        spread = logits.std(dim=(0, 2, 3))
        classifier = model.decode_head.classifier
        classifier.weight.div_(spread.view(-1, 1, 1, 1))
        classifier.bias.copy_((classifier.bias - logits.mean(dim=(0, 2, 3))) / spread)
    model.save_pretrained(folder)
    processor = {
        "image_processor_type": "SegformerImageProcessor",
        "do_resize": True,
        "size": {"height": side, "width": side},
        "resample": 2,
        "do_rescale": True,
        "do_normalize": True,
        "do_reduce_labels": True,
        "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225],
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder


class TinyBody(nn.Module):
    """A body of three convolutions: maps of 8, 8 and 16 channels at 1/4, 1/8 and 1/16."""

    widths = (8, 8, 16)

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 4, 4)
        self.second = nn.Conv2d(8, 8, 2, 2)
        self.third = nn.Conv2d(8, 16, 2, 2)

    def maps(self, pixels: torch.Tensor) -> list[torch.Tensor]:
        """Finest first."""
        one = torch.relu(self.first(pixels))
        two = torch.relu(self.second(one))
        return [one, two, torch.relu(self.third(two))]


def scene(width: int, height: int, *, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A picture (height, width, 3) with a few coloured shapes on a noisy ground; mask: 0 ground, 1 red, 2 blue."""
    draw, noise = random.Random(seed), np.random.default_rng(seed)
    ground = Image.fromarray(noise.integers(90, 130, (height, width, 3), dtype=np.uint8))
    mask = Image.new("L", (width, height), 0)
    for number in range(4):
        x, y = draw.randrange(width), draw.randrange(height)
        size = draw.randrange(max(4, width // 6), max(6, width // 3))
        box = [x - size // 2, y - size // 2, x + size // 2, y + size // 2]
        kind = 1 + number % 2
        ImageDraw.Draw(ground).ellipse(box, fill=((220, 30, 30), (30, 30, 220))[kind - 1])
        ImageDraw.Draw(mask).ellipse(box, fill=kind)
    return np.asarray(ground), np.asarray(mask)


def photograph(width: int, height: int, *, seed: int = 0, form: str = "PNG") -> bytes:
    """A smooth random picture, encoded."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    picture = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    picture.save(buffer, format=form)
    return buffer.getvalue()


def png_of(picture: NDArray[np.uint8]) -> bytes:
    """A picture or a mask as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG")
    return buffer.getvalue()
