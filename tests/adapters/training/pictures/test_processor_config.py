"""preprocessor_config.json in every layout of the hub; what would differ in silence is refused."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.training.pictures.processor_config import of_processor, of_timm
from zoo.errors import InvalidInput, Unsupported
from zoo.tasks.processors.preprocessing import Crop, Exact, Preprocessing, Shortest, ShortestLongest

HALF: dict[str, Any] = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
IMAGENET: dict[str, Any] = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
WRITTEN = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}


@pytest.mark.parametrize(
    ("config", "kind", "expected"),
    [
        (  # ResNet-50 of 2022
            {
                "crop_pct": 0.875,
                "do_normalize": True,
                "do_resize": True,
                "feature_extractor_type": "ConvNextFeatureExtractor",
                "resample": 3,
                "size": 224,
                **WRITTEN,
            },
            "resnet",
            Preprocessing(Shortest(256), "bicubic", Crop(224, 224), **IMAGENET),
        ),
        (  # ViT of 2021
            {"do_normalize": True, "do_resize": True, "feature_extractor_type": "ViTFeatureExtractor", "size": 224},
            "vit",
            Preprocessing(Exact(224, 224), **HALF),
        ),
        ({"size": 224, "resample": 2}, "vit", Preprocessing(Exact(224, 224), **HALF)),
        (
            {"crop_size": 224, "do_center_crop": True, "feature_extractor_type": "DeiTFeatureExtractor", "size": 256},
            "deit",
            Preprocessing(Exact(256, 256), "bicubic", Crop(224, 224), **HALF),
        ),
        (
            {
                "image_processor_type": "MobileNetV2FeatureExtractor",
                "size": {"shortest_edge": 256},
                "crop_size": {"height": 224, "width": 224},
                "do_rescale": None,
            },
            "mobilenet_v2",
            Preprocessing(Shortest(256), "bilinear", Crop(224, 224), **HALF),
        ),
        (
            {
                "feature_extractor_type": "DetrFeatureExtractor",
                "format": "coco_detection",
                "max_size": 1333,
                "size": 800,
            },
            "detr",
            Preprocessing(ShortestLongest(800, 1333), **IMAGENET),
        ),
        ({"size": 512, "max_size": 864, **WRITTEN}, "yolos", Preprocessing(ShortestLongest(512, 864, 16), **IMAGENET)),
        (
            {"image_processor_type": "RTDetrImageProcessorFast", "do_normalize": False},
            "rt_detr",
            Preprocessing(Exact(640, 640)),
        ),
        (
            {"feature_extractor_type": "SegformerFeatureExtractor", "reduce_labels": True, "size": 512},
            "segformer",
            Preprocessing(Exact(512, 512), **IMAGENET),
        ),
        ({}, "upernet", Preprocessing(Exact(512, 512), **IMAGENET)),
        (
            {"image_processor_type": "ViTImageProcessor", "image_mean": 0.1, "image_std": [0.2], "size": [32, 48]},
            "vit",
            Preprocessing(Exact(32, 48), mean=(0.1, 0.1, 0.1), std=(0.2, 0.2, 0.2)),
        ),
    ],
    ids=[
        "resnet",
        "vit",
        "unnamed",
        "deit",
        "mobilenet",
        "detr",
        "yolos",
        "rt-detr",
        "segformer",
        "upernet",
        "numbers",
    ],
)
def test_a_hub_file_is_read_in_old_and_new_layouts(config: dict[str, Any], kind: str, expected: Preprocessing) -> None:
    assert of_processor(config, kind) == expected


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        ({"image_processor_type": "SamImageProcessor"}, "vit"),
        ({}, "sam"),
        ({"auto_map": {"AutoImageProcessor": "own.OwnProcessor"}}, "vit"),
        ({"size": {"longest_edge": 800}}, "detr"),
        ({"size": {"shortest_edge": 800}}, "detr"),
        ({"size": {"max_height": 800, "max_width": 800}}, "detr"),
        ({"size": 640}, "rt_detr"),
        ({"size": {"height": 224, "width": 224}}, "resnet"),
        ({"size": 224, "do_center_crop": True, "crop_size": 200}, "convnext"),
        ({"do_pad": True, "pad_size": {"height": 900, "width": 900}}, "detr"),
    ],
)
def test_what_would_differ_is_refused(config: dict[str, Any], kind: str) -> None:
    with pytest.raises(Unsupported) as caught:
        of_processor(config, kind)
    assert caught.value.code == "unsupported_preprocessing"


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"size": "large"}, "size.height"),
        ({"size": {"height": -5, "width": 5}}, "size.height"),
        ({"size": 5.5}, "size.height"),
        ({"size": [1, 2, 3]}, "size"),
        ({"resample": 9}, "resample"),
        ({"image_mean": [1, 2]}, "image_mean"),
        ({"image_std": [1, 0, 1]}, "image_std"),
        ({"rescale_factor": "1/255"}, "rescale_factor"),
        ({"rescale_factor": float("inf")}, "rescale_factor"),
        ({"do_center_crop": True, "crop_size": {"width": 3}}, "crop_size"),
    ],
)
def test_values_without_sense_are_named(config: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        of_processor(config, "vit")
    assert caught.value.code == "invalid_checkpoint"
    assert caught.value.message.startswith(f"{named} in ")


def timm(**settings: Any) -> dict[str, Any]:
    return {
        "architecture": "vgg16",
        "pretrained_cfg": {"input_size": [3, 224, 224], "fixed_input_size": False, **settings},
    }


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (
            timm(interpolation="bilinear", crop_pct=0.875, crop_mode="center", **{"mean": [0.485, 0.456, 0.406]}),
            Preprocessing(Shortest(256), "bilinear", Crop(224, 224, "even"), **IMAGENET),
        ),
        (timm(crop_pct=0.95), Preprocessing(Shortest(235), "bicubic", Crop(224, 224, "even"), **IMAGENET)),
        (
            timm(crop_pct=1.0, crop_mode="squash", mean=[0.5] * 3, std=[0.5] * 3),
            Preprocessing(Exact(224, 224), "bicubic", Crop(224, 224, "even"), **HALF),
        ),
        (
            {"input_size": [3, 32, 32], "crop_pct": 1.0, "interpolation": "bilinear"},
            Preprocessing(Shortest(32), "bilinear", Crop(32, 32, "even"), **IMAGENET),
        ),
    ],
    ids=["vgg", "defaults", "squash", "flat"],
)
def test_timms_evaluation_transform_is_read(config: dict[str, Any], expected: Preprocessing) -> None:
    assert of_timm(config) == expected


@pytest.mark.parametrize(
    "settings",
    [{"input_size": [1, 28, 28]}, {"input_size": [3, 224, 192]}, {"crop_mode": "border"}, {"interpolation": "random"}],
)
def test_timms_other_transforms_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(Unsupported) as caught:
        of_timm(timm(**settings))
    assert caught.value.code == "unsupported_preprocessing"


@pytest.mark.parametrize(
    "settings",
    [
        {"crop_pct": 2.0},
        {"crop_pct": "all"},
        {"input_size": 224},
        {"mean": [1, 2]},
        {"std": [1, 0, 1]},
        {"crop_pct": 0.01},
    ],
)
def test_timms_values_without_sense_are_named(settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as caught:
        of_timm(timm(**settings))
    assert caught.value.code == "invalid_checkpoint"
