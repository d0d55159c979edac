"""Picture networks of a few thousand random weights in the layouts of the hub, and pictures: no downloads."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from transformers import (
    ConvNextConfig,
    ConvNextForImageClassification,
    ConvNextImageProcessor,
    ConvNextModel,
    DeiTConfig,
    DeiTForImageClassification,
    DeiTForImageClassificationWithTeacher,
    DeiTImageProcessor,
    DeiTModel,
    MobileNetV2Config,
    MobileNetV2ForImageClassification,
    MobileNetV2ImageProcessor,
    MobileNetV2Model,
    ResNetConfig,
    ResNetForImageClassification,
    ResNetModel,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessor,
    ViTModel,
)

from adapters.training.architectures.resnet import ResNet
from adapters.training.architectures.vgg import VGG

LABELS = ("ant", "bee", "fly", "wasp", "moth", "tick", "mite")
HUB_KINDS = ("resnet", "vit", "deit", "deit-distilled", "convnext", "mobilenet_v2")
TIMM_KINDS = ("timm-resnet", "timm-resnet-large", "timm-vgg", "timm-vgg-norm")
KINDS = (*HUB_KINDS, *TIMM_KINDS)
MEAN, STD = (0.48, 0.46, 0.41), (0.23, 0.22, 0.24)


def picture(width: int = 40, height: int = 36, *, seed: int = 0) -> bytes:
    """A PNG of soft coloured blobs and noise, other ones for other seeds."""
    draw = np.random.default_rng(seed)
    coarse = Image.fromarray(draw.integers(0, 256, (4, 5, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), dtype=np.int16)
    noisy = np.clip(smooth + draw.integers(-20, 20, smooth.shape), 0, 255).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noisy).save(stream, "PNG")
    return stream.getvalue()


def write_picture_checkpoint(
    folder: Path, kind: str = "resnet", *, labels: Sequence[str] = LABELS, headed: bool = True, **config: Any
) -> Path:
    """A random network of ``KINDS``; transformers' ones without a head if ``headed`` is false."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(11)
    if kind in TIMM_KINDS:
        return _write_timm(folder, kind, labels, config)
    names = {"num_labels": len(labels), "id2label": dict(enumerate(labels))} if headed else {}
    names |= {"label2id": {label: place for place, label in enumerate(labels)}} if headed else {}
    model, processor = _MAKERS[kind]({**names, **config}, headed)
    stir(model)
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def stir(network: nn.Module) -> None:
    """Make fresh weights tell: no bias of zero, no norm of one, and answers that differ from picture to picture."""
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if weight.dim() < 2 and "layer_scale" not in name:
                weight.add_(0.2 * torch.randn_like(weight))
            else:
                fan = max(1, weight[0].numel()) if weight.dim() > 1 else 1
                weight.copy_(torch.randn_like(weight) * (1.5 / fan**0.5))
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                assert module.running_mean is not None and module.running_var is not None
                module.running_mean.copy_(0.3 * torch.randn_like(module.running_mean))
                module.running_var.copy_(0.5 + torch.rand_like(module.running_var))


def _resnet(config: dict[str, Any], headed: bool) -> tuple[Any, Any]:
    sizes: dict[str, Any] = {"embedding_size": 8, "hidden_sizes": [8, 12, 16, 24], "depths": [1, 2, 1, 1]}
    made = ResNetConfig(layer_type="basic", **(sizes | config))
    processor = ConvNextImageProcessor(size={"shortest_edge": 32}, crop_pct=0.875, image_mean=MEAN, image_std=STD)
    return (ResNetForImageClassification if headed else ResNetModel)(made), processor


def _vit(config: dict[str, Any], headed: bool) -> tuple[Any, Any]:
    made = ViTConfig(**(_TOKENS | config))
    return (ViTForImageClassification if headed else ViTModel)(made), ViTImageProcessor(size=_SIDES)


def _deit(config: dict[str, Any], headed: bool) -> tuple[Any, Any]:
    made = DeiTConfig(**(_TOKENS | config))
    return (DeiTForImageClassification if headed else DeiTModel)(made), _deit_processor()


def _distilled(config: dict[str, Any], headed: bool) -> tuple[Any, Any]:
    made = DeiTConfig(**(_TOKENS | config))
    return (DeiTForImageClassificationWithTeacher if headed else DeiTModel)(made), _deit_processor()


def _convnext(config: dict[str, Any], headed: bool) -> tuple[Any, Any]:
    sizes: dict[str, Any] = {"hidden_sizes": [8, 12, 16, 24], "depths": [1, 1, 2, 1], "patch_size": 4}
    made = ConvNextConfig(layer_scale_init_value=0.5, **(sizes | config))
    processor = ConvNextImageProcessor(size={"shortest_edge": 32}, crop_pct=0.8, image_mean=MEAN, image_std=STD)
    return (ConvNextForImageClassification if headed else ConvNextModel)(made), processor


def _mobilenet(config: dict[str, Any], headed: bool) -> tuple[Any, Any]:
    sizes: dict[str, Any] = {"depth_multiplier": 0.1, "min_depth": 4, "depth_divisible_by": 4, "expand_ratio": 2.0}
    made = MobileNetV2Config(image_size=33, finegrained_output=False, **(sizes | config))
    processor = MobileNetV2ImageProcessor(size={"shortest_edge": 38}, crop_size={"height": 33, "width": 33})
    return (MobileNetV2ForImageClassification if headed else MobileNetV2Model)(made), processor


def _deit_processor() -> Any:
    return DeiTImageProcessor(size={"height": 36, "width": 36}, crop_size=_SIDES, image_mean=MEAN, image_std=STD)


_SIDES = {"height": 32, "width": 32}
_TOKENS: dict[str, Any] = {"image_size": 32, "patch_size": 8, "hidden_size": 24, "num_hidden_layers": 3}
_TOKENS |= {"num_attention_heads": 2, "intermediate_size": 40}
_MAKERS: dict[str, Callable[[dict[str, Any], bool], tuple[Any, Any]]] = {
    "resnet": _resnet,
    "vit": _vit,
    "deit": _deit,
    "deit-distilled": _distilled,
    "convnext": _convnext,
    "mobilenet_v2": _mobilenet,
}


def _write_timm(folder: Path, kind: str, labels: Sequence[str], config: dict[str, Any]) -> Path:
    arguments = {**_ARGUMENTS[kind], **config.pop("model_args", {})}
    network: nn.Module
    if kind.startswith("timm-resnet"):
        network, architecture = ResNet(classes=len(labels), **arguments), "resnet"
    else:
        network, architecture = VGG(classes=len(labels), **arguments), "vgg"
    stir(network)
    cfg = {"input_size": [3, 32, 32], "interpolation": "bicubic", "crop_pct": 0.9, "crop_mode": "center"}
    written = {
        "architecture": architecture,
        "model_args": arguments,
        "num_classes": len(labels),
        "label_names": list(labels),
        "pretrained_cfg": {**cfg, "mean": list(MEAN), "std": list(STD)},
    }
    (folder / "config.json").write_text(json.dumps(written | config))
    save_file(network.state_dict(), folder / "model.safetensors", metadata={"format": "pt"})
    return folder


_ARGUMENTS: dict[str, dict[str, Any]] = {
    "timm-resnet": {"block": "basic", "layers": [1, 1, 1, 1], "widths": [8, 12, 16, 24], "stem": "small"},
    "timm-resnet-large": {"block": "bottleneck", "layers": [1, 2], "widths": [4, 6], "stem": "large"},
    "timm-vgg": {"plan": [8, "M", 12, "M", 16, "M"], "norm": False, "hidden": False},
    "timm-vgg-norm": {"plan": [8, 8, "M", 12, "M", 16, "M"], "norm": True, "hidden": False},
}
