"""``preprocessor_config.json`` of a picture checkpoint, in all its layouts, to ``Preprocessing``; timm's too.

What is read follows transformers 5.23 on Pillow. Whatever a processor would do that ours cannot is refused, as it
would change every answer in silence.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zoo.errors import InvalidInput, Unsupported
from zoo.tasks.processors.preprocessing import MAX_EDGE, Crop, Exact, Preprocessing, Resample, Shortest, ShortestLongest

_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
_CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
_RESAMPLE: tuple[Resample, ...] = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")  # Pillow's numbers
_BILINEAR, _BICUBIC = 2, 3


@dataclass(frozen=True)
class Family:
    """What a class of processors does where its file says nothing, and the steps of its own.

    ``square``: a size of one number means both sides, else the shorter one. ``crops``: whether it crops unasked;
    ``never_crops``: not even where the file asks for it. ``warps_from``: from this size on it warps to a square, and
    below it resizes by ``crop_pct`` and crops (ConvNeXT). ``halves``: may divide by ``std`` twice and shift by one
    (EfficientNet). ``longest``: limit of the longer side where the file gives one number. ``multiple``: both sides are
    cut down to multiples of it (YOLOS).
    """

    size: int | Mapping[str, int]
    resample: int = _BILINEAR
    scale: tuple[tuple[float, ...], tuple[float, ...]] = _HALF
    square: bool = True
    crop: int | None = None
    crops: bool = False
    never_crops: bool = False
    normalises: bool = True
    warps_from: int | None = None
    halves: bool = False
    longest: int | None = None
    multiple: int = 1


_DETR = Family(800, scale=_IMAGENET, square=False, never_crops=True, longest=1333)
_FAMILIES = {
    "ViT": Family(224),
    "DeiT": Family(256, _BICUBIC, crop=224, crops=True),
    "Beit": Family(224, _BICUBIC, crop=224),
    "ConvNext": Family(384, _BICUBIC, square=False, warps_from=384),
    "MobileNetV1": Family(256, square=False, crop=224, crops=True),
    "MobileNetV2": Family(256, square=False, crop=224, crops=True),
    "EfficientNet": Family(346, _BICUBIC, crop=289, halves=True),
    "Bit": Family(224, _BICUBIC, _CLIP, square=False, crop=224, crops=True),
    "CLIP": Family(224, _BICUBIC, _CLIP, square=False, crop=224, crops=True),
    "Segformer": Family(512, scale=_IMAGENET, never_crops=True),
    "Detr": _DETR,
    "ConditionalDetr": _DETR,
    "Yolos": Family(800, scale=_IMAGENET, square=False, never_crops=True, longest=1333, multiple=16),
    "RTDetr": Family({"height": 640, "width": 640}, scale=_IMAGENET, square=False, never_crops=True, normalises=False),
}
_FAMILY_OF = {
    "vit": "ViT",
    "swin": "ViT",
    "deit": "DeiT",
    "beit": "Beit",
    "convnext": "ConvNext",
    "convnextv2": "ConvNext",
    "resnet": "ConvNext",
    "regnet": "ConvNext",
    "mobilenet_v1": "MobileNetV1",
    "mobilenet_v2": "MobileNetV2",
    "efficientnet": "EfficientNet",
    "bit": "Bit",
    "dinov2": "Bit",
    "segformer": "Segformer",
    "upernet": "Segformer",
    "detr": "Detr",
    "conditional_detr": "ConditionalDetr",
    "yolos": "Yolos",
    "rt_detr": "RTDetr",
}


def of_processor(config: Mapping[str, Any], kind: str) -> Preprocessing:
    """``config``: the JSON of ``preprocessor_config.json``; ``kind``: the checkpoint's ``model_type``.

    The processor's class is the one that the file names, else that of ``kind``. Raises ``Unsupported`` for classes and
    steps that are not reproduced here, ``InvalidInput`` for values that make no sense.
    """
    if config.get("auto_map"):
        raise _refused("its own code prepares the pictures (auto_map), which is never run")
    named = str(config.get("image_processor_type") or config.get("feature_extractor_type") or "")
    name = (
        named.removesuffix("Fast").removesuffix("Pil").removesuffix("ImageProcessor").removesuffix("FeatureExtractor")
    )
    family = _FAMILIES.get(name if named else _FAMILY_OF.get(kind, ""))
    if family is None:
        raise _refused(f"{(named or kind)[:64]!r} is not one of {', '.join(_FAMILIES)}")
    return _Reader(config, family).preprocessing()


def of_timm(config: Mapping[str, Any]) -> Preprocessing:
    """``config``: the JSON of a timm checkpoint's ``config.json``; its evaluation transform (timm 1.0).

    Raises as ``of_processor`` does.
    """
    settings = config.get("pretrained_cfg", config)
    if not isinstance(settings, Mapping):
        raise _senseless("pretrained_cfg")
    channels, *edges = _numbers(settings.get("input_size") or (3, 224, 224), "input_size", count=3)
    height, width = (_edge(edge, "input_size") for edge in edges)
    mode = settings.get("crop_mode") or "center"
    if channels != 3 or mode not in ("center", "squash") or (mode == "center" and height != width):
        raise _refused(f"input_size {(channels, height, width)} with crop_mode {str(mode)[:16]!r}")
    percent = _share(settings.get("crop_pct") or 0.875)
    tall, wide = (_edge(math.floor(edge / percent), "input_size") for edge in (height, width))
    named = settings.get("interpolation") or "bicubic"
    if named not in _RESAMPLE:
        raise _refused(f"interpolation {str(named)[:16]!r}")
    return Preprocessing(
        resize=Shortest(tall) if mode == "center" else Exact(tall, wide),
        resample=_RESAMPLE[_RESAMPLE.index(named)],
        crop=Crop(height, width, "even"),
        mean=_triple(settings.get("mean") or _IMAGENET[0], "mean"),
        std=_deviation(settings.get("std") or _IMAGENET[1], "std"),
    )


@dataclass(frozen=True)
class _Reader:
    """One file, read as its family reads it: a missing value and ``null`` both mean the family's own."""

    config: Mapping[str, Any]
    family: Family

    def preprocessing(self) -> Preprocessing:
        number = self._get("resample", self.family.resample)
        if number not in range(len(_RESAMPLE)):
            raise _senseless("resample")
        if self.config.get("pad_size"):
            raise _refused("pad_size")
        resize, crop = self._resize(), self._crop()
        if self.family.warps_from is not None and isinstance(resize, Shortest):
            if crop is not None:
                raise _refused("two crops, one after another")
            resize, crop = self._warp(resize.shortest)
        mean, std, rescale = self._scale()
        return Preprocessing(resize, _RESAMPLE[number], crop, rescale, mean, std)

    def _get(self, key: str, default: Any) -> Any:
        value = self.config.get(key)
        return default if value is None else value

    def _resize(self) -> Exact | Shortest | ShortestLongest | None:
        if not self._get("do_resize", True):
            return None
        family, size = self.family, self._get("size", self.family.size)
        if isinstance(size, list | tuple):
            size = dict(zip(("height", "width"), _numbers(size, "size", count=2), strict=True))
        if not isinstance(size, Mapping):
            size = self._spelled(size)
        keys = {key for key, value in size.items() if value}
        sides = {key: _edge(size[key], f"size.{key}") for key in sorted(keys)}
        if family.warps_from is not None and keys != {"shortest_edge"}:
            raise _refused(f"a size of {sorted(keys)}")
        if keys == {"height", "width"}:
            return Exact(sides["height"], sides["width"])
        if keys == {"shortest_edge", "longest_edge"} and family.warps_from is None:
            return ShortestLongest(sides["shortest_edge"], sides["longest_edge"], family.multiple)
        if keys == {"shortest_edge"} and not family.never_crops:
            return Shortest(sides["shortest_edge"])
        raise _refused(f"a size of {sorted(keys)}")

    def _spelled(self, size: Any) -> dict[str, Any]:
        """What one number means."""
        if self.family.square:
            return {"height": size, "width": size}
        if self.family.longest is None:
            return {"shortest_edge": size}
        return {"shortest_edge": size, "longest_edge": self._get("max_size", self.family.longest)}

    def _crop(self) -> Crop | None:
        if self.family.never_crops or not self._get("do_center_crop", self.family.crops):
            return None
        size = self._get("crop_size", self.family.crop)
        if isinstance(size, Mapping) and {key for key, value in size.items() if value} == {"height", "width"}:
            size = (size["height"], size["width"])
        if isinstance(size, int):
            size = (size, size)
        height, width = _numbers(size, "crop_size", count=2)
        return Crop(_edge(height, "crop_size"), _edge(width, "crop_size"))

    def _warp(self, edge: int) -> tuple[Exact | Shortest, Crop | None]:
        """ConvNeXT's: see ``Family``."""
        assert self.family.warps_from is not None
        if edge >= self.family.warps_from:
            return Exact(edge, edge), None
        percent = _share(self._get("crop_pct", 224 / 256))
        return Shortest(_edge(int(edge / percent), "size")), Crop(edge, edge)

    def _scale(self) -> tuple[tuple[float, float, float], tuple[float, float, float], float]:
        """Mean, deviation and factor, the family's further steps folded into them."""
        mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
        written = _deviation(self._get("image_std", self.family.scale[1]), "image_std")
        if self._get("do_normalize", self.family.normalises):
            mean, std = _triple(self._get("image_mean", self.family.scale[0]), "image_mean"), written
        rescales = self._get("do_rescale", True)
        factor = _number(self._get("rescale_factor", 1 / 255), "rescale_factor") if rescales else 1.0
        if self.family.halves:
            if rescales and self._get("rescale_offset", False):
                mean = (mean[0] + 1, mean[1] + 1, mean[2] + 1)
            if self._get("include_top", True):
                std = (std[0] * written[0], std[1] * written[1], std[2] * written[2])
        return mean, std, factor


def _edge(value: object, key: str) -> int:
    number = _number(value, key)
    if not 1 <= number <= MAX_EDGE or number != int(number):
        raise _senseless(key)
    return int(number)


def _number(value: object, key: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _senseless(key)
    return value


def _numbers(value: object, key: str, *, count: int) -> tuple[float, ...]:
    if not isinstance(value, list | tuple) or len(value) != count:
        raise _senseless(key)
    return tuple(_number(one, key) for one in value)


def _triple(value: object, key: str) -> tuple[float, float, float]:
    """Three numbers, or one for all channels."""
    if isinstance(value, int | float):
        value = (value, value, value)
    if isinstance(value, list | tuple) and len(value) == 1:
        value = (value[0], value[0], value[0])
    red, green, blue = _numbers(value, key, count=3)
    return red, green, blue


def _deviation(value: object, key: str) -> tuple[float, float, float]:
    """As ``_triple``, and something can be divided by it."""
    triple = _triple(value, key)
    if min(triple) <= 0:
        raise _senseless(key)
    return triple


def _share(value: object) -> float:
    """What part of a picture's side is kept."""
    number = _number(value, "crop_pct")
    if not 0 < number <= 1:
        raise _senseless("crop_pct")
    return number


def _senseless(key: str) -> InvalidInput:
    message = f"{key[:64]} in the checkpoint's preprocessor_config.json is no value that makes sense."
    return InvalidInput(message, code="invalid_checkpoint")


def _refused(what: str) -> Unsupported:
    message = f"The checkpoint prepares pictures in a way that this release does not have: {what}."
    return Unsupported(message, code="unsupported_preprocessing")
