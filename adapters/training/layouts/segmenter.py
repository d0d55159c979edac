"""This project's own layout of a segmenter: config.json, and model.safetensors with ``body.…`` and ``head.…``.

Or, in place of the latter, the published body, and an adapter and the decoder beside it: see ``adapted``.

config.json holds ``architecture``, ``label_names`` by the decoder's outputs, ``channels`` of the decoder and
``preprocessing`` as a manifest does. Weights may be stored as float16.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import torch
from pydantic import BaseModel, Field, ValidationError
from safetensors.torch import save_file
from torch import nn

from adapters.training.architectures.efficientnet_lite import MAPS, WIDTH, EfficientNetLite
from adapters.training.architectures.unet import CHANNELS, GROUPS, Segmenter, UNetDecoder
from adapters.training.checkpoint import is_adapted, read_json
from adapters.training.layouts.adapted import fill_head, merge
from adapters.training.layouts.lite import read_network
from adapters.training.layouts.parts import WEIGHTS_FILE, Parts, fill, named_labels, read_weights, unfit
from adapters.training.pictures.body import PictureBody
from zoo.errors import ArtifactCorrupt
from zoo.tasks.processors.image import Preprocessing

ARCHITECTURE = "unet-effnet-lite0"


class _Config(BaseModel):
    """What config.json has to hold."""

    architecture: Literal["unet-effnet-lite0"]
    label_names: Annotated[list[str], Field(min_length=2, max_length=255)]
    preprocessing: dict[str, object]
    channels: Annotated[
        tuple[Annotated[int, Field(ge=GROUPS, le=1024, multiple_of=GROUPS)], ...], Field(min_length=3, max_length=3)
    ] = CHANNELS


@dataclass(frozen=True)
class OwnSegmenter:
    """``network`` in evaluation mode, frozen; its ``labels`` in the order of the logits."""

    network: Segmenter
    body: PictureBody
    head: UNetDecoder
    labels: tuple[str, ...]
    preprocessing: Preprocessing


def is_own_segmenter(checkpoint: Path) -> bool:
    """Whether config.json names this layout's architecture."""
    return read_json(checkpoint / "config.json").get("architecture") == ARCHITECTURE


def read_own_segmenter(checkpoint: Path) -> OwnSegmenter:
    """The segmenter; raises ``InvalidInput`` (``invalid_checkpoint``) for one that contradicts itself."""
    try:
        config = _Config.model_validate(read_json(checkpoint / "config.json"))
        preprocessing = Preprocessing.of(config.preprocessing)
    except ValidationError as error:
        raise unfit(f"has a config.json whose {error.errors()[0]['loc'][0]} makes no sense") from None
    except ArtifactCorrupt as error:
        raise unfit(f"has a config.json that makes no sense: {error.message}") from None
    if preprocessing.fixed is None:
        raise unfit("prepares pictures of different sizes, and its network is served with one")
    labels = named_labels(config.label_names, len(config.label_names), field="label_names")
    head = UNetDecoder(tuple(MAPS.values()), len(labels), channels=config.channels)
    if is_adapted(checkpoint):
        body = lite_body(read_network(checkpoint)[0], preprocessing)
        merge(body, checkpoint)
        fill_head(checkpoint, head)
    else:
        body = _read_whole(checkpoint, head, preprocessing)
    network = Segmenter(body, head).eval().requires_grad_(False)
    return OwnSegmenter(network, body, head, labels, preprocessing)


def _read_whole(checkpoint: Path, head: UNetDecoder, preprocessing: Preprocessing) -> PictureBody:
    with torch.device("meta"):
        lite = EfficientNetLite(0)
    weights = read_weights(checkpoint)
    fill(lite, {name.removeprefix("body."): value for name, value in weights.items() if name.startswith("body.")})
    fill(head, {name.removeprefix("head."): value for name, value in weights.items() if not name.startswith("body.")})
    return lite_body(lite, preprocessing)


def lite_body(network: EfficientNetLite, preprocessing: Preprocessing) -> PictureBody:
    """EfficientNet-Lite0 without a classifier, in evaluation mode, as a body for pictures so prepared."""
    network.classifier = nn.Identity()
    parts = Parts(
        network=network.eval().requires_grad_(False),
        steps=("stem", *(f"blocks.{place}" for place in range(len(network.blocks))), "top"),
        classifier=None,
        labels=(),
        architecture="efficientnet_lite",
        preprocessing=preprocessing,
    )
    assert preprocessing.fixed is not None
    return PictureBody(parts, preprocessing.fixed, WIDTH)


def write_own_segmenter(
    folder: Path, network: Segmenter, *, labels: tuple[str, ...], preprocessing: Preprocessing
) -> None:
    """Write ``config.json`` and the weights as float16; the body has to be EfficientNet-Lite0, its LoRA merged."""
    lite = network.body.network
    head = network.head
    if not isinstance(lite, EfficientNetLite) or not isinstance(head, UNetDecoder):
        raise TypeError("this layout is of a U-Net decoder on EfficientNet-Lite0")
    weights = {f"body.{name}": value for name, value in lite.state_dict().items() if not name.startswith("classifier")}
    weights |= {f"head.{name}": value for name, value in head.state_dict().items()}
    stored = {
        name: value.detach().to(torch.float16 if value.is_floating_point() else value.dtype).contiguous()
        for name, value in weights.items()
    }
    folder.mkdir(parents=True, exist_ok=True)
    save_file(stored, str(folder / WEIGHTS_FILE))
    config = {
        "architecture": ARCHITECTURE,
        "task": "image-segmentation",
        "label_names": list(labels),
        "channels": list(head.channels),
        "preprocessing": preprocessing.as_dict(),
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
