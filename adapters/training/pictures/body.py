"""A pre-trained network for pictures, whatever layout it came in: vectors, maps, steps and classifier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from adapters.training.checkpoint import is_adapted
from adapters.training.layouts.adapted import merge
from adapters.training.layouts.hub import read_hub
from adapters.training.layouts.lite import is_lite, read_lite
from adapters.training.layouts.parts import Parts, unfit
from adapters.training.layouts.timm import is_timm, read_timm
from adapters.training.recipe import Batch, Size, seeded
from zoo.errors import Unsupported
from zoo.tasks.processors.image import Preprocessing

INPUT = "pixel_values"


class PictureBody(nn.Module):
    """Pooled vectors (batch, width) of pictures (batch, 3, height, width), prepared as ``preprocessing`` says.

    The vector is what the checkpoint's own ``classifier`` sees; that is no part of this module, so that nothing done to
    the body reaches it. ``size`` is (height, width) of every prepared picture.
    """

    def __init__(self, parts: Parts, size: tuple[int, int], width: int) -> None:
        super().__init__()
        self.network = parts.network
        self.size = size
        self.width = width
        self._parts = parts

    @property
    def classifier(self) -> nn.Linear | None:
        """The checkpoint's own head, ``None`` where it has none."""
        return self._parts.classifier

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes of ``classifier`` in order."""
        return self._parts.labels

    @property
    def architecture(self) -> str:
        """The family, e.g. ``resnet``."""
        return self._parts.architecture

    @property
    def preprocessing(self) -> Preprocessing:
        """How a picture is prepared for it."""
        return self._parts.preprocessing

    @property
    def function_to_apply(self) -> str:
        """What makes scores of the classifier's logits: ``softmax``, ``sigmoid`` or ``none``."""
        return self._parts.function_to_apply

    @property
    def mirrored(self) -> bool:
        """Whether ``classifier`` should see the mean over the picture and its mirror image."""
        return self._parts.mirrored

    def steps(self) -> Sequence[nn.Module]:
        """Parts that run one after the other, each on the tensor that the one before gave; looked up anew each time."""
        return [self.network.get_submodule(name) for name in self._parts.steps]

    def forward(self, pixel_values: Tensor) -> Tensor:
        """(batch, width)."""
        pooled: Tensor = _call(self.network, "pooled", pixel_values)
        return pooled

    def maps(self, pixels: Tensor) -> list[Tensor]:
        """Maps (batch, channels, height, width), finest first; raises ``Unsupported`` where the network has none."""
        if not hasattr(self.network, "maps"):
            message = f"{self.architecture} in this layout has no maps of several resolutions."
            raise Unsupported(message, code="unsupported_architecture")
        found: list[Tensor] = _call(self.network, "maps", pixels)
        return found


def load_body(checkpoint: Path) -> PictureBody:
    """The network of a checkpoint folder, frozen and in evaluation mode, float32.

    An adapter beside it is merged into it, and its classifier left out, which would read other vectors then.
    Known are ResNet, ViT, DeiT, ConvNeXt and MobileNetV2 of transformers, ResNet and VGG of timm, and the published
    EfficientNet-Lite0. Raises ``Unsupported`` (``unsupported_architecture``) for others and ``InvalidInput``
    (``invalid_checkpoint``) for weights, sizes or labels that do not fit each other.
    """
    parts = _read(checkpoint)
    size = parts.preprocessing.fixed
    if size is None:
        raise unfit("prepares pictures of different sizes, and its network is served with one")
    network = parts.network.eval().requires_grad_(False)
    if parts.classifier is not None:
        parts.classifier.eval().requires_grad_(False)
    with torch.no_grad():
        try:
            pooled: Tensor = _call(network, "pooled", torch.zeros(1, 3, *size))
        except (RuntimeError, ValueError) as error:
            raise unfit(f"takes no pictures of {size[0]} x {size[1]} pixels, which its own settings make") from error
    width = int(pooled.shape[1])
    if not is_adapted(checkpoint):
        return PictureBody(parts, size, width).eval()
    body = PictureBody(replace(parts, classifier=None, labels=()), size, width).eval()  # its vectors are others now
    merge(body, checkpoint)
    return body


def example_pictures(rows: int, size: Size) -> Batch:
    """Random prepared pictures; the same for the same rows and size."""
    return {INPUT: torch.randn(rows, 3, *size, generator=seeded(rows * 10_007 + size[0]))}


def _read(checkpoint: Path) -> Parts:
    if is_lite(checkpoint):
        return read_lite(checkpoint)
    return read_timm(checkpoint) if is_timm(checkpoint) else read_hub(checkpoint)


def _call(network: nn.Module, name: str, pixels: Tensor) -> Any:
    return getattr(network, name)(pixels)
