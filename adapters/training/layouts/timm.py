"""timm's layout: config.json with ``architecture`` and ``pretrained_cfg``, weights as safetensors; timm is not needed.

The starters of this project are written so too, with ``model_args`` for what their architecture leaves open and
``mirrored`` where the mirror image is to be looked at too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import nn

from adapters.training.architectures import resnet, vgg
from adapters.training.checkpoint import read_json
from adapters.training.layouts.imagenet import CLASSES, imagenet_labels
from adapters.training.layouts.parts import Parts, fill, named_labels, numbered_labels, read_weights, unfit
from adapters.training.pictures.processor_config import of_timm
from zoo.errors import InvalidInput, Unsupported

Count = Annotated[int, Field(ge=1, le=64)]
Channels = Annotated[int, Field(ge=1, le=8192)]


class _ResNetArguments(BaseModel):
    """What ``architecture`` resnet leaves open."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    block: Literal["basic", "bottleneck"]
    layers: Annotated[tuple[Count, ...], Field(min_length=1, max_length=8)]
    widths: Annotated[tuple[Channels, ...], Field(min_length=1, max_length=8)] = resnet.WIDTHS
    stem: Literal["large", "small"] = "large"


class _VggArguments(BaseModel):
    """What ``architecture`` vgg leaves open."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    plan: Annotated[tuple[Channels | Literal["M"], ...], Field(min_length=1, max_length=64)]
    norm: bool = False
    hidden: bool = True


class _Config(BaseModel):
    """What is read of config.json beside the preparation of pictures."""

    architecture: str = Field(max_length=100)
    num_classes: int = Field(1000, ge=0, le=100_000)
    model_args: dict[str, Any] = {}
    label_names: Any = None
    mirrored: bool = False


Arguments = TypeVar("Arguments", bound=BaseModel)
Builder = Callable[[str, Mapping[str, Any], int], nn.Module]


def is_timm(checkpoint: Path) -> bool:
    """Whether config.json is one of timm: an ``architecture``, but no ``model_type`` of transformers."""
    config = read_json(checkpoint / "config.json")
    return "architecture" in config and "model_type" not in config


def read_timm(checkpoint: Path) -> Parts:
    """A ResNet or VGG. Raises ``Unsupported`` for other architectures, ``InvalidInput`` for what contradicts itself."""
    written = read_json(checkpoint / "config.json")
    config = _config(written)
    builder = _BUILDERS.get(config.architecture)
    if builder is None:
        message = f"The architecture {config.architecture} is unknown; in timm's layout there are {_known()}."
        raise Unsupported(message, code="unsupported_architecture")
    weights = read_weights(checkpoint)
    with torch.device("meta"):
        network = builder(config.architecture, config.model_args, config.num_classes)
    fill(network, weights)
    return Parts(
        network=network,
        steps=tuple(_steps(network)),
        classifier=_without_classifier(network),
        labels=_labels(config, checkpoint),
        architecture="resnet" if isinstance(network, resnet.ResNet) else "vgg",
        preprocessing=of_timm(written),
        mirrored=config.mirrored,
    )


def _config(written: Mapping[str, Any]) -> _Config:
    try:
        return _Config.model_validate(written)
    except ValidationError as error:
        raise _unfit_field(error) from None


def _unfit_field(error: ValidationError, *above: str) -> InvalidInput:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in (*above, *first["loc"]))[:100]
    return unfit(f"has a config.json whose {where} cannot be used: {first['msg']}")


def _resnet(name: str, arguments: Mapping[str, Any], classes: int) -> nn.Module:
    if name in resnet.VARIANTS:
        block, layers = resnet.VARIANTS[name]
        return resnet.ResNet(block, layers, classes)
    asked = _arguments(_ResNetArguments, arguments)
    if len(asked.layers) != len(asked.widths):
        raise unfit("has a config.json whose model_args.layers and model_args.widths differ in number")
    return resnet.ResNet(asked.block, asked.layers, classes, widths=asked.widths, stem=asked.stem)


def _vgg(name: str, arguments: Mapping[str, Any], classes: int) -> nn.Module:
    plain = name.removesuffix("_bn")
    if plain in vgg.VARIANTS:
        return vgg.VGG(vgg.VARIANTS[plain], classes, norm=plain != name)
    asked = _arguments(_VggArguments, arguments)
    return vgg.VGG(asked.plan, classes, norm=asked.norm, hidden=asked.hidden)


def _arguments(kind: type[Arguments], given: Mapping[str, Any]) -> Arguments:
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        raise _unfit_field(error, "model_args") from None


_BUILDERS: dict[str, Builder] = {
    **dict.fromkeys(("resnet", *resnet.VARIANTS), _resnet),
    **dict.fromkeys(("vgg", *vgg.VARIANTS, *(f"{name}_bn" for name in vgg.VARIANTS)), _vgg),
}


def _known() -> str:
    return ", ".join(name for name in _BUILDERS if name not in ("resnet", "vgg"))


def _steps(network: nn.Module) -> list[str]:
    """Blocks of a ResNet, layers of a VGG: what runs between two of them needs no more than its input."""
    if isinstance(network, resnet.ResNet):
        stages = [name for name, _ in network.named_children() if name.startswith("layer")]
        return [f"{stage}.{name}" for stage in stages for name, _ in network.get_submodule(stage).named_children()]
    assert isinstance(network, vgg.VGG)
    layers = [f"features.{name}" for name, _ in network.features.named_children()]
    return [*layers, "pre_logits"] if isinstance(network.pre_logits, vgg.FullyConnected) else layers


def _without_classifier(network: nn.Module) -> nn.Linear | None:
    """Take the classifier out of the network."""
    home = network.head if isinstance(network, vgg.VGG) else network
    assert isinstance(home, nn.Module)
    found = home.fc
    home.fc = nn.Identity()
    return found if isinstance(found, nn.Linear) else None


def _labels(config: _Config, checkpoint: Path) -> tuple[str, ...]:
    if config.label_names is not None:
        return named_labels(config.label_names, config.num_classes, field="label_names")
    imagenet = imagenet_labels(checkpoint) if config.num_classes == CLASSES else None
    return imagenet or numbered_labels(config.num_classes)
