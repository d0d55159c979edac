"""A picture body under an anchor-free head: how one is made for new classes, written to a folder and read from it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import BaseModel, Field, ValidationError
from safetensors.torch import save_file
from torch import Tensor, nn

from adapters.training.architectures.efficientnet_lite import EfficientNetLite
from adapters.training.architectures.fcos import FcosHead
from adapters.training.checkpoint import is_adapted, read_json
from adapters.training.layouts.adapted import fill_head, merge
from adapters.training.layouts.lite import PREPROCESSING, read_network
from adapters.training.layouts.parts import WEIGHTS_FILE, Parts, named_labels, read_weights, unfit
from adapters.training.pictures.body import INPUT, PictureBody, example_pictures
from adapters.training.recipe import Servable
from zoo.errors import Unsupported
from zoo.tasks.processors.image import Fit, Preprocessing

ARCHITECTURE: Literal["fcos-effnet-lite0"] = "fcos-effnet-lite0"
SIDE = 320  # of the square that a picture is fitted into
Stride = Literal[4, 8, 16, 32]
STRIDES: tuple[Stride, ...] = (8, 16, 32)
_BODY = "body.network."


class DetectorConfig(BaseModel):
    """``config.json`` of a detector folder. ``strides`` tell which maps of the body the head reads."""

    architecture: Literal["fcos-effnet-lite0"] = ARCHITECTURE
    task: Literal["object-detection"] = "object-detection"
    label_names: list[Annotated[str, Field(min_length=1)]] = Field(min_length=1)
    side: int = Field(SIDE, ge=32, le=2048, multiple_of=32)
    strides: tuple[Stride, ...] = STRIDES
    channels: int = Field(96, ge=8, le=1024, multiple_of=8)
    depth: int = Field(2, ge=0, le=8)


class DenseDetector(nn.Module):
    """``body`` gives maps, ``head`` reads those at its strides: (batch, positions, classes + 4), as ``FcosHead``."""

    def __init__(self, body: PictureBody, head: FcosHead) -> None:
        super().__init__()
        self.body = body
        self.head = head

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Logits and boxes side by side."""
        maps = self.body.maps(pixel_values)
        # Maps halve from 1/4 on, whatever the picture's size.
        answer: Tensor = self.head([maps[stride.bit_length() - 3] for stride in self.head.strides])
        return answer


def is_detector(checkpoint: Path) -> bool:
    """Whether the folder holds a detector of this layout."""
    return read_json(checkpoint / "config.json").get("architecture") == ARCHITECTURE


def read_detector(checkpoint: Path) -> tuple[DenseDetector, DetectorConfig]:
    """Network and settings of a folder; raises ``InvalidInput`` (``invalid_checkpoint``) for what does not fit."""
    try:
        config = DetectorConfig.model_validate(read_json(checkpoint / "config.json"))
    except ValidationError as error:
        raise unfit(f"has a config.json with a senseless {error.errors()[0]['loc'][0]}") from None
    named_labels(config.label_names, len(config.label_names), field="label_names")
    if is_adapted(checkpoint):
        return _beside_its_body(checkpoint, config).requires_grad_(False), config
    detector = new_detector(config)
    weights = read_weights(checkpoint)
    wanted = {name: tensor.shape for name, tensor in written_state(detector).items()}
    if {name: tensor.shape for name, tensor in weights.items()} != wanted:
        wrong = sorted(set(wanted) ^ set(weights)) or [
            name for name, shape in wanted.items() if weights[name].shape != shape
        ]
        raise unfit(f"has weights that do not fit its config.json, such as {wrong[0][:100]}")
    detector.load_state_dict(weights, strict=False)
    return detector.requires_grad_(False), config


def new_detector(config: DetectorConfig, network: EfficientNetLite | None = None) -> DenseDetector:
    """A network of this layout: a random head on ``network``, an EfficientNet-Lite0, or on a random one."""
    body = _lite_body(config.side, EfficientNetLite(classes=0) if network is None else network)
    return DenseDetector(body, _head(_LITE_CHANNELS, config)).eval()


def write_detector(detector: DenseDetector, config: DetectorConfig, folder: Path, *, dtype: torch.dtype) -> None:
    """Write ``config.json`` and the weights in ``dtype``; ``read_detector`` reads them back as float32."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config.model_dump(mode="json"), indent=1))
    weights = {name: tensor.detach().to(dtype).contiguous() for name, tensor in written_state(detector).items()}
    save_file(weights, str(folder / WEIGHTS_FILE))


def written_state(detector: DenseDetector) -> dict[str, Tensor]:
    """What a folder holds: all but the body's layers behind its last map, and counters that nothing reads."""
    return {
        name: tensor
        for name, tensor in detector.state_dict().items()
        if not name.startswith((f"{_BODY}top.", f"{_BODY}classifier.")) and not name.endswith("num_batches_tracked")
    }


def fitted(body: PictureBody, side: int) -> PictureBody:
    """The body for pictures that are fitted into a square of ``side`` pixels, in the body's own colours."""
    how = body.preprocessing
    fit = Preprocessing(resize=Fit(side, side), resample=how.resample, rescale=how.rescale, mean=how.mean, std=how.std)
    parts = Parts(
        network=body.network,
        steps=tuple(_names_of(body)),
        classifier=None,
        labels=(),
        architecture=body.architecture,
        preprocessing=fit,
    )
    return PictureBody(parts, (side, side), body.width)


def new_head(body: PictureBody, config: DetectorConfig) -> FcosHead:
    """A fresh head on a body's maps; raises ``Unsupported`` (``not_adaptable``) for a body without suitable ones."""
    side = body.size[0]
    with torch.no_grad():
        try:
            maps = body.maps(torch.zeros(1, 3, side, side))
        except Unsupported as error:
            raise Unsupported(error.message, code="not_adaptable", param="model") from error
    if [one.shape[2] for one in maps] != [side // stride for stride in (4, 8, 16, 32)]:
        message = f"The maps of {body.architecture} are not at 1/4, 1/8, 1/16 and 1/32: adapt effnet-lite0 instead."
        raise Unsupported(message, code="not_adaptable", param="model")
    return _head(dict(zip((4, 8, 16, 32), (int(one.shape[1]) for one in maps), strict=True)), config)


def head_for(known: FcosHead, config: DetectorConfig) -> FcosHead:
    """A trained head for other classes: all as it was but the layer that names them."""
    head = _head({}, config, widths=known.widths)
    kept = {name: tensor for name, tensor in known.state_dict().items() if not name.startswith("class_logits.")}
    head.load_state_dict(kept, strict=False)
    return head


def tapped(body: PictureBody, strides: Sequence[int]) -> list[int]:
    """Places of the body's steps whose outputs are its maps at ``strides``, ascending."""
    outputs: dict[int, Any] = {}

    def note(place: int) -> Callable[[nn.Module, Any, Any], None]:
        return lambda _, __, output: outputs.update({place: output})

    handles = [step.register_forward_hook(note(place)) for place, step in enumerate(body.steps())]
    try:
        with torch.no_grad():
            maps = body.maps(torch.zeros(1, 3, *body.size))
    finally:
        for handle in handles:
            handle.remove()
    wanted = [maps[stride.bit_length() - 3] for stride in strides]
    found = [place for one in wanted for place, output in outputs.items() if output is one]
    if len(found) != len(wanted):
        message = f"The maps of {body.architecture} are not outputs of its steps: adapt effnet-lite0 instead."
        raise Unsupported(message, code="not_adaptable", param="model")
    return found


def detector_servable(detector: DenseDetector, body: PictureBody, labels: tuple[str, ...]) -> Servable:
    """How a detector is exported and served; ``body`` is its bare body, which tells how pictures are prepared."""
    height, width = body.size
    lite = isinstance(body.network, EfficientNetLite)
    return Servable(
        module=detector,
        inputs=(INPUT,),
        outputs=("detections",),
        example=example_pictures,
        sizes=((height, width),),
        axes={0: "batch"},
        architecture=ARCHITECTURE if lite else f"fcos-{body.architecture}",
        labels=labels,
        limits={"height": height, "width": width},
        options={"detector": "dense", "preprocessing": body.preprocessing.as_dict()},
    )


def _beside_its_body(checkpoint: Path, config: DetectorConfig) -> DenseDetector:
    network, _ = read_network(checkpoint)
    detector = new_detector(config, network)
    merge(detector.body, checkpoint)
    fill_head(checkpoint, detector.head)
    return detector


_LITE_CHANNELS = {4: 24, 8: 40, 16: 112, 32: 320}


def _head(channels: dict[int, int], config: DetectorConfig, *, widths: Sequence[int] = ()) -> FcosHead:
    return FcosHead(
        list(widths) or [channels[stride] for stride in config.strides],
        config.strides,
        len(config.label_names),
        channels=config.channels,
        depth=config.depth,
    )


def _lite_body(side: int, network: EfficientNetLite) -> PictureBody:
    parts = Parts(
        network=network,
        steps=("stem", *(f"blocks.{place}" for place in range(len(network.blocks)))),
        classifier=None,
        labels=(),
        architecture="efficientnet_lite",
        preprocessing=PREPROCESSING,
    )
    return fitted(PictureBody(parts, (side, side), network.width), side)


def _names_of(body: PictureBody) -> list[str]:
    names = {id(module): name for name, module in body.network.named_modules()}
    return [names[id(step)] for step in body.steps()]
