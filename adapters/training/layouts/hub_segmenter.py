"""SegFormer and UperNet as transformers lays them out: logits on the decoder's own grid, and SegFormer's two parts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import SegformerForSemanticSegmentation, UperNetForSemanticSegmentation

from adapters.training import checkpoint as checkpoints
from adapters.training.encoder import load_weights
from adapters.training.layouts.parts import unfit
from adapters.training.pictures.processor_config import of_processor
from zoo.errors import InvalidInput, Unsupported
from zoo.tasks.processors.image import Preprocessing

PROCESSOR_FILE = "preprocessor_config.json"


@dataclass(frozen=True)
class HubSegmenter:
    """``module(pixel_values)`` gives logits (batch, classes, h, w) before any resizing.

    ``via_input``: whether the model's own code resizes them to its input's size before transformers resizes them to the
    picture's; resizing twice is not the same as once, so whoever serves it has to do likewise.
    """

    module: nn.Module
    architecture: str
    labels: tuple[str, ...]
    preprocessing: Preprocessing
    via_input: bool


class SegformerBody(nn.Module):
    """The encoder's four maps (1/4 to 1/32); the head reads all, so the whole is one step."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def maps(self, pixels: Tensor) -> list[Tensor]:
        """(batch, channels, h, w) each, finest first."""
        return list(self.encoder(pixels, output_hidden_states=True).hidden_states)


class SegformerHead(nn.Module):
    """The decode head: a linear layer for each map, then one for all of them."""

    def __init__(self, decode_head: Any) -> None:
        super().__init__()
        self.decode_head = decode_head

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Logits at the finest map's size."""
        logits: Tensor = self.decode_head(maps)
        return logits


class _SegformerLogits(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixel_values: Tensor) -> Tensor:
        logits: Tensor = self.model(pixel_values).logits
        return logits


class _UperNetLogits(nn.Module):
    """UperNet without its last resize: at 512 pixels and 150 classes that alone makes 157 MB of a picture's answer."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.backbone = model.backbone
        self.decode_head = model.decode_head

    def forward(self, pixel_values: Tensor) -> Tensor:
        maps = self.backbone.forward_with_filtered_kwargs(
            pixel_values, output_hidden_states=None, output_attentions=None
        ).feature_maps
        logits: Tensor = self.decode_head(maps)
        return logits


def read_hub_segmenter(checkpoint: Path) -> HubSegmenter:
    """A SegFormer or UperNet; raises ``Unsupported`` for others and what could not be answered alike."""
    kind, names = checkpoints.architectures(checkpoint)
    if not any(name.endswith("ForSemanticSegmentation") for name in names) or kind not in ("segformer", "upernet"):
        raise Unsupported(
            f"{', '.join(names)[:100] or kind[:64]} is no segmenter that this release can import; it imports SegFormer "
            "and UperNet (…ForSemanticSegmentation) and its own U-Nets.",
            code="unsupported_architecture",
            param="task",
        )
    _refuse_other_backbones(checkpoint, kind)
    config = checkpoints.load_config(checkpoint)
    if config.num_labels < 2:
        raise Unsupported(
            "The checkpoint has a single class, which this release cannot serve: it needs at least two.",
            code="unsupported_architecture",
        )
    preprocessing = of_processor(checkpoints.read_json(checkpoint / PROCESSOR_FILE), kind)
    if preprocessing.fixed is None or preprocessing.crop is not None:
        raise Unsupported(
            f"{PROCESSOR_FILE} has no fixed size (do_resize with height and width): a mask could not be mapped back.",
            code="unsupported_preprocessing",
        )
    module: nn.Module
    if kind == "segformer":
        module = _SegformerLogits(load_weights(SegformerForSemanticSegmentation, checkpoint))
    else:
        module = _UperNetLogits(load_weights(UperNetForSemanticSegmentation, checkpoint, attention="eager"))
    module.eval().requires_grad_(False)
    labels = tuple(str(config.id2label.get(place, "")) for place in range(config.num_labels))
    _try(module, preprocessing, len(labels))
    return HubSegmenter(module, kind, labels, preprocessing, via_input=kind == "upernet")


def segformer_parts(checkpoint: Path, classes: int) -> tuple[SegformerBody, SegformerHead]:
    """Encoder and decode head, whose last layer is new; both frozen and in evaluation mode."""
    model: Any = load_weights(SegformerForSemanticSegmentation, checkpoint).eval().requires_grad_(False)
    old = model.decode_head.classifier
    model.decode_head.classifier = nn.Conv2d(old.in_channels, classes, 1)
    return SegformerBody(model.segformer), SegformerHead(model.decode_head)


def _refuse_other_backbones(checkpoint: Path, kind: str) -> None:
    """Raise ``Unsupported`` for an UperNet that names its backbone: reading such a config.json asks the hub for it."""
    config = checkpoints.read_json(checkpoint / "config.json")
    described = config.get("backbone_config")
    elsewhere = any(config.get(key) for key in ("backbone", "use_timm_backbone", "use_pretrained_backbone"))
    if kind == "upernet" and (elsewhere or not isinstance(described, dict) or "timm" in str(described)):
        message = "The checkpoint names its backbone and does not describe it (backbone_config of a transformers model)"
        raise Unsupported(f"{message}: it would have to be fetched from elsewhere.", code="unsupported_architecture")


@torch.no_grad()
def _try(module: nn.Module, preprocessing: Preprocessing, classes: int) -> None:
    """Raise ``InvalidInput`` for a network that does not take the pictures that its processor makes."""
    assert preprocessing.fixed is not None
    try:
        shape = tuple(module(torch.zeros(1, 3, *preprocessing.fixed)).shape)
    except (RuntimeError, ValueError) as error:
        raise unfit("takes no pictures of the size that its own settings make") from error
    if len(shape) != 4 or shape[1] != classes:
        raise InvalidInput("The checkpoint answers in another shape than a segmenter's.", code="invalid_checkpoint")
