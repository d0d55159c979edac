"""Detectors of a few thousand random weights in hub layout, and pictures with drawn objects that one can learn."""

from __future__ import annotations

import io
import json
import random
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image, ImageDraw
from transformers import (
    DetrConfig,
    DetrForObjectDetection,
    DetrImageProcessor,
    ResNetConfig,
    RTDetrConfig,
    RTDetrForObjectDetection,
    RTDetrImageProcessor,
    RTDetrResNetConfig,
    YolosConfig,
    YolosForObjectDetection,
    YolosImageProcessor,
)

from adapters.training.detection import dense_detector
from zoo.tasks.processors.image import open_picture, prepare

Kind = Literal["detr", "yolos", "rt-detr"]
LABELS = ("cat", "dog", "remote", "sofa")
COLOURS = {"blue": (40, 60, 200), "red": (200, 40, 40)}
SIDE = 64  # pixels of a picture with one square


def write_detector(folder: Path, kind: Kind, **config: Any) -> Path:
    """A random checkpoint with its processor's settings, of pictures of about 64 pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    names: dict[str, Any] = {
        "id2label": dict(enumerate(LABELS)),
        "label2id": {label: place for place, label in enumerate(LABELS)},
    }
    torch.manual_seed(3)
    model, processor = _MAKERS[kind](names | config)
    _stir(model)
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def _detr(config: dict[str, Any]) -> tuple[Any, Any]:
    sizes: dict[str, Any] = {"d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "num_queries": 12}
    sizes |= {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
    sizes |= {"encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "use_timm_backbone": False}
    backbone = ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 24], depths=[1, 1], out_features=["stage2"], layer_type="basic"
    )
    processor = DetrImageProcessor(size={"shortest_edge": 64, "longest_edge": 96})
    return DetrForObjectDetection(DetrConfig(backbone_config=backbone, **(sizes | config))), processor


def _yolos(config: dict[str, Any]) -> tuple[Any, Any]:
    sizes: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    sizes |= {"intermediate_size": 48, "image_size": [64, 96], "patch_size": 16, "num_detection_tokens": 12}
    processor = YolosImageProcessor(size={"shortest_edge": 64, "longest_edge": 96})
    return YolosForObjectDetection(YolosConfig(**(sizes | config))), processor


def _rt_detr(config: dict[str, Any]) -> tuple[Any, Any]:
    sizes: dict[str, Any] = {"d_model": 32, "encoder_hidden_dim": 32, "decoder_layers": 2, "num_queries": 12}
    sizes |= {"encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "encoder_attention_heads": 2, "decoder_attention_heads": 2}
    # Two levels in the place of three: each costs the exporter two seconds.
    sizes |= {"encoder_in_channels": [16, 24], "decoder_in_channels": [32, 32], "num_feature_levels": 2}
    sizes |= {"feat_strides": [16, 32], "encode_proj_layers": [1], "num_denoising": 0}
    backbone = RTDetrResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 16, 16, 24],
        depths=[1, 1, 1, 1],
        out_features=["stage3", "stage4"],
        layer_type="basic",
    )
    processor = RTDetrImageProcessor(size={"height": 64, "width": 64})
    return RTDetrForObjectDetection(RTDetrConfig(backbone_config=backbone, **(sizes | config))), processor


_MAKERS = {"detr": _detr, "yolos": _yolos, "rt-detr": _rt_detr}


def _stir(model: torch.nn.Module) -> None:
    """Fresh weights give the same box and score for every query: spread them, and give the norms statistics."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "query_position" in name or "detection_tokens" in name:
                weight.normal_()
            elif weight.dim() > 1 and weight.numel():  # YOLOS of one layer has an empty one
                weight.normal_(std=1.6 / weight[0].numel() ** 0.5)
            else:
                weight.add_(0.1 * torch.randn_like(weight))
        for name, values in model.named_buffers():
            if name.endswith("running_mean"):
                values.add_(0.1 * torch.randn_like(values))
            if name.endswith("running_var"):
                values.mul_(1.0 + 0.3 * torch.rand_like(values))


def picture(width: int = 80, height: int = 60, *, seed: int = 0) -> bytes:
    """A PNG of coloured noise in large patches, so that every region looks different."""
    draw = random.Random(seed)
    small = Image.new("RGB", (8, 6))
    small.putdata([tuple(draw.randrange(256) for _ in range(3)) for _ in range(48)])
    return _png(small.resize((width, height), Image.Resampling.BICUBIC))


def drawn(seed: int, *, size: tuple[int, int] = (96, 80)) -> tuple[bytes, list[dict[str, Any]]]:
    """A PNG with one to three filled shapes, and their labels and boxes (x, y, width, height) in pixels."""
    draw = random.Random(seed)
    canvas = Image.new("RGB", size, (200, 200, 190))
    pen = ImageDraw.Draw(canvas)
    objects: list[dict[str, Any]] = []
    column = size[0] // 3
    for place in draw.sample(range(3), draw.randint(1, 3)):
        width, height = draw.randint(16, column - 4), draw.randint(20, 50)
        x, y = place * column + draw.randint(1, column - width - 1), draw.randint(1, size[1] - height - 1)
        label = draw.choice(("disc", "square"))
        shape = (x, y, x + width - 1, y + height - 1)
        if label == "disc":
            pen.ellipse(shape, fill=(200, 40, 40))
        else:
            pen.rectangle(shape, fill=(40, 60, 200))
        objects.append({"label": label, "bbox": [x, y, width, height]})
    return _png(canvas), objects


def square(seed: int) -> tuple[bytes, dict[str, Any]]:
    """A PNG with one square on plain ground, its label, which is its colour, and its box."""
    draw = random.Random(seed)
    label, side = draw.choice(tuple(COLOURS)), draw.randint(SIDE // 4, SIDE // 2)
    x, y = draw.randint(0, SIDE - side), draw.randint(0, SIDE - side)
    canvas = Image.new("RGB", (SIDE, SIDE), (200, 200, 190))
    ImageDraw.Draw(canvas).rectangle((x, y, x + side - 1, y + side - 1), fill=COLOURS[label])
    return _png(canvas), {"label": label, "bbox": [x, y, side, side]}


def write_dense_detector(folder: Path) -> Path:
    """Of our own layout, random, with one level at 1/8; its norms have seen squares, so that something gets through."""
    torch.manual_seed(1)
    config = dense_detector.DetectorConfig(label_names=["this", "that"], side=SIDE, strides=(8,), channels=32, depth=1)
    detector = dense_detector.new_detector(config)
    pictures = [prepare(open_picture(square(10_000 + place)[0]), detector.body.preprocessing) for place in range(16)]
    for module in detector.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # the mean of all that is seen
    with torch.no_grad():
        detector.train()(torch.from_numpy(np.stack([one.pixels for one in pictures])))
    dense_detector.write_detector(detector.eval(), config, folder, dtype=torch.float32)
    return folder


def _png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def write_coco(folder: Path, count: int, *, seed: int = 0) -> Path:
    """``count`` drawn pictures under ``images`` and their ``annotations.json``."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    names = ("disc", "square")
    made: dict[str, list[dict[str, Any]]] = {"images": [], "annotations": []}
    for place in range(count):
        content, objects = drawn(seed + place)
        file = f"{place:03}.png"
        (folder / "images" / file).write_bytes(content)
        made["images"].append({"id": place, "file_name": file, "width": 96, "height": 80})
        for one in objects:
            line = {"id": len(made["annotations"]), "image_id": place, "category_id": names.index(one["label"])}
            made["annotations"].append(line | {"bbox": one["bbox"]})
    categories = [{"id": place, "name": name} for place, name in enumerate(names)]
    (folder / "annotations.json").write_text(json.dumps(made | {"categories": categories}))
    return folder
