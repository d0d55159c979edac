"""DETR's published checkpoints name timm's ResNet as their backbone; here it becomes transformers' own network."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from adapters.training.checkpoint import read_json
from adapters.training.layouts.parts import WEIGHTS_FILE, unfit
from zoo.errors import Unsupported

_TIMM_FIELDS = {"backbone", "backbone_config", "backbone_kwargs", "use_pretrained_backbone", "dilation"}
_WIDE, _NARROW = [256, 512, 1024, 2048], [64, 128, 256, 512]
_RESNETS = {
    "resnet18": ("basic", [2, 2, 2, 2], _NARROW),
    "resnet34": ("basic", [3, 4, 6, 3], _NARROW),
    "resnet50": ("bottleneck", [3, 4, 6, 3], _WIDE),
    "resnet101": ("bottleneck", [3, 4, 23, 3], _WIDE),
    "resnet152": ("bottleneck", [3, 8, 36, 3], _WIDE),
}
_PARTS = {"conv": "convolution", "bn": "normalization"}


@contextmanager
def own_backbone(checkpoint: Path) -> Iterator[Path]:
    """The folder itself, or for its time a copy whose timm backbone is transformers' network of the same weights.

    Raises ``Unsupported`` for other backbones of timm than plain ResNets.
    """
    written = read_json(checkpoint / "config.json")
    name = timm_backbone(written)
    if name is None:
        yield checkpoint
        return
    variant = _RESNETS.get(name.partition(".")[0])
    if variant is None or written.get("dilation"):
        message = f"The checkpoint's backbone {name[:64]} is unknown; there are {', '.join(_RESNETS)}, not dilated."
        raise Unsupported(message, code="unsupported_architecture")
    kind, depths, widths = variant
    resnet = {"model_type": "resnet", "layer_type": kind, "depths": depths, "hidden_sizes": widths}
    known = {key: value for key, value in written.items() if key not in _TIMM_FIELDS}
    config = known | {"use_timm_backbone": False, "backbone_config": resnet | {"out_features": ["stage4"]}}
    try:
        weights = load_file(checkpoint / WEIGHTS_FILE)
    except (OSError, SafetensorError) as error:
        raise unfit(f"has no {WEIGHTS_FILE} that can be read whole") from error
    with tempfile.TemporaryDirectory(dir=checkpoint.parent) as made:
        folder = Path(made)
        (folder / "config.json").write_text(json.dumps(config))
        own = {own_name(key): tensor for key, tensor in weights.items()}
        save_file(own, folder / WEIGHTS_FILE, {"format": "pt"})
        yield folder


def timm_backbone(config: dict[str, Any]) -> str | None:
    """timm's name of the backbone that a configuration asks for; where it says nothing, DETR means timm's ResNet-50."""
    inner = config.get("backbone_config")
    if isinstance(inner, dict):
        return str(inner.get("backbone")) if inner.get("model_type") == "timm_backbone" else None
    if config.get("model_type") != "detr" or config.get("use_timm_backbone") is False:
        return None
    return str(config.get("backbone") or "resnet50")


def own_name(name: str) -> str:
    """timm's name of a backbone's weight as transformers'; other names stay."""
    head, found, rest = name.partition("backbone.conv_encoder.model.")
    parts = rest.split(".")
    if not found or len(parts) < 2:
        return name
    if not parts[0].startswith("layer"):
        place = ["embedder", "embedder", _PARTS[parts[0].rstrip("1")]]
        rest_of = parts[1:]
    else:
        place = ["encoder", "stages", str(int(parts[0].removeprefix("layer")) - 1), "layers", parts[1]]
        if parts[2] == "downsample":
            place += ["shortcut", list(_PARTS.values())[int(parts[3])]]
            rest_of = parts[4:]
        else:
            place += ["layer", str(int(parts[2][-1]) - 1), _PARTS[parts[2][:-1]]]
            rest_of = parts[3:]
    return head + found + ".".join([*place, *rest_of])
