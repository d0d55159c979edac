"""The networks that segmentation adapts: a body with maps under a U-Net decoder, and SegFormer with its own head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from adapters.training import checkpoint as checkpoints
from adapters.training.architectures.unet import CHANNELS, Segmenter, UNetDecoder
from adapters.training.layouts.hub_segmenter import PROCESSOR_FILE, segformer_parts
from adapters.training.layouts.segmenter import is_own_segmenter, read_own_segmenter
from adapters.training.pictures.body import PictureBody, load_body
from adapters.training.pictures.processor_config import of_processor
from adapters.training.recipe import Defaults
from zoo.errors import Unsupported
from zoo.tasks.processors.image import Fit, Preprocessing

FINEST = 4  # maps of a higher resolution than 1/4 cost more than they give
# EfficientNet-Lite0 with these and two views: mean IoU .888 on dsb2018 after 84 updates on 108 pictures, .518 on camvid
# after 294 on 330 (one view). A view costs a pass of the body before training starts.
UNET_DEFAULTS = Defaults(
    updates=400,
    epochs=(6, 40),
    batch_size=(8, 8),
    learning_rate=(2e-3, 2e-3),
    lora_rank=8,
    top=0.5,
    views=2,
    rough=True,
)
SEGFORMER_DEFAULTS = Defaults(
    updates=300,
    epochs=(3, 20),
    batch_size=(8, 8),
    learning_rate=(5e-4, 5e-4),
    lora_rank=16,
    top=1.0,
    views=4,
)


@dataclass(frozen=True)
class Network:
    """What is adapted: a network of body and head, the body's steps in the order in which they run, and how.

    ``steps`` and ``taps`` are places among ``parts()``; see ``recipe.Adaptation``.
    """

    whole: Segmenter
    body: nn.Module
    head: nn.Module
    steps: tuple[int, ...]
    taps: tuple[int, ...]
    preprocessing: Preprocessing
    architecture: str
    defaults: Defaults

    def parts(self) -> Sequence[nn.Module]:
        """All that the body is made of; looked up anew, as LoRA replaces some."""
        return self.body.steps() if isinstance(self.body, PictureBody) else [self.body]


def network_for(checkpoint: Path, labels: Sequence[str], rectangle: tuple[int, int]) -> Network:
    """The checkpoint's body under a head for ``labels``, for pictures fitted into ``rectangle`` (height, width).

    One of our segmenters keeps its decoder and a SegFormer its decode head, both with a new last layer; other bodies
    get a new decoder. Raises ``Unsupported`` (``not_adaptable``) for models that cannot be segmented with.
    """
    kind = checkpoints.read_json(checkpoint / "config.json").get("model_type")
    if kind == "upernet":
        raise _not_adaptable("UperNet cannot be adapted in this release")
    if kind == "segformer":
        return _segformer(checkpoint, len(labels), rectangle)
    if is_own_segmenter(checkpoint):
        own = read_own_segmenter(checkpoint)
        _new_classifier(own.head, own.labels, labels)
        return _unet(own.body, own.head, rectangle)
    body = load_body(checkpoint)
    widths = _shape(body, rectangle).used
    if len(widths) < 2:
        raise _not_adaptable(f"{body.architecture} has no maps of several resolutions to segment with")
    channels = (*(CHANNELS[0],) * len(widths), *CHANNELS)[-(len(widths) - 1) :]
    return _unet(body, UNetDecoder(widths, len(labels), channels=channels), rectangle)


def _unet(body: PictureBody, decoder: UNetDecoder, rectangle: tuple[int, int]) -> Network:
    shape = _shape(body, rectangle)
    # Without knowing which steps the maps come from, nothing can be kept of the steps below.
    defaults = UNET_DEFAULTS if shape.taps is not None else replace(UNET_DEFAULTS, top=1.0)
    return Network(
        whole=Segmenter(body, decoder, first=shape.first),
        body=body,
        head=decoder.requires_grad_(True),
        steps=shape.steps,
        taps=shape.taps or (),
        preprocessing=_fitted(body.preprocessing, rectangle),
        architecture=f"unet-{body.architecture}",
        defaults=defaults,
    )


def _segformer(checkpoint: Path, classes: int, rectangle: tuple[int, int]) -> Network:
    body, head = segformer_parts(checkpoint, classes)
    own = of_processor(checkpoints.read_json(checkpoint / PROCESSOR_FILE), "segformer")
    return Network(
        whole=Segmenter(body, head),
        body=body,
        head=head.requires_grad_(True),
        steps=(0,),
        taps=(),
        preprocessing=_fitted(own, rectangle),
        architecture="segformer",
        defaults=SEGFORMER_DEFAULTS,
    )


@dataclass(frozen=True)
class _Shape:
    """Channels of a body's maps, the first of them not finer than 1/4, and the steps: those that run, those tapped."""

    widths: tuple[int, ...]
    first: int
    steps: tuple[int, ...]
    taps: tuple[int, ...] | None

    @property
    def used(self) -> tuple[int, ...]:
        """Channels of the maps that a decoder gets."""
        return self.widths[self.first :]


@torch.no_grad()
def _shape(body: PictureBody, size: tuple[int, int]) -> _Shape:
    """Found out by running it: which steps there are differs between layouts, and what the maps are made of."""
    outputs: dict[int, Tensor] = {}

    def noted(place: int) -> Any:
        return lambda module, inputs, output: outputs.update({place: output})

    handles = [step.register_forward_hook(noted(place)) for place, step in enumerate(body.steps())]
    try:
        maps = body.maps(torch.zeros(1, 3, *size))
    except Unsupported as error:
        raise _not_adaptable(error.message.rstrip(".")) from None
    finally:
        for handle in handles:
            handle.remove()
    steps = tuple(sorted(outputs))
    first = next((place for place, one in enumerate(maps) if one.shape[2] * FINEST <= size[0]), len(maps))
    taps = [next((at for at, step in enumerate(steps) if outputs[step] is one), -1) for one in maps[first:]]
    return _Shape(tuple(one.shape[1] for one in maps), first, steps, None if -1 in taps else tuple(taps))


def _fitted(own: Preprocessing, rectangle: tuple[int, int]) -> Preprocessing:
    """The body's own colours in a size that suits the data."""
    return Preprocessing(resize=Fit(*rectangle), resample="bilinear", rescale=own.rescale, mean=own.mean, std=own.std)


def _new_classifier(head: UNetDecoder, old: tuple[str, ...], new: Sequence[str]) -> None:
    """A last layer for other classes; one of the same name starts as it was."""
    before = head.classifier
    head.classifier = nn.Conv2d(before.in_channels, len(new), 1)
    with torch.no_grad():
        for place, name in enumerate(new):
            if name in old:
                head.classifier.weight[place] = before.weight[old.index(name)]
                head.classifier.bias[place] = before.bias[old.index(name)]  # type: ignore[index]


def _not_adaptable(fault: str) -> Unsupported:
    return Unsupported(f"{fault}: adapt effnet-lite0 instead.", code="not_adaptable", param="model")
