"""Detectors of transformers: their preparation, their sizes, timm's backbone under other names, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import DetrConfig, DetrForObjectDetection, ResNetConfig
from transformers.models.resnet import ResNetBackbone

from adapters.training.architectures.resnet import VARIANTS, ResNet
from adapters.training.detection.detr_backbone import own_backbone, own_name
from adapters.training.detection.query_detectors import load_queries
from tests.tiny_detectors import Kind, write_detector
from zoo.errors import InvalidInput, Unsupported

PREFIX = "model.backbone.conv_encoder.model."


@pytest.mark.parametrize("kind", ["detr", "yolos", "rt-detr"])
def test_a_checkpoint_says_how_it_is_served(tmp_path: Path, kind: Kind) -> None:
    servable = load_queries(write_detector(tmp_path / kind, kind))
    assert servable.labels == ("cat", "dog", "remote", "sofa")
    assert servable.options["detector"] == ("rt_detr" if kind == "rt-detr" else "detr")
    assert servable.axes == ({0: "batch"} if kind == "rt-detr" else {0: "batch", 2: "height", 3: "width"})
    logits, boxes = servable.module(**servable.example(2, servable.sizes[0]))
    assert logits.shape == (2, 12, 4 if kind == "rt-detr" else 5)
    assert boxes.shape == (2, 12, 4)


def test_queries_of_rt_detr_are_those_of_transformers_in_another_order(tmp_path: Path) -> None:
    servable: Any = load_queries(write_detector(tmp_path / "rt", "rt-detr"))
    batch = servable.example(2, servable.sizes[0])
    _, boxes = servable.module(**batch)
    expected = servable.module.model(**batch).pred_boxes
    assert not torch.allclose(boxes, expected, atol=1e-4)
    for row, other in zip(boxes, expected, strict=True):
        nearest = (row.unsqueeze(1) - other.unsqueeze(0)).abs().amax(dim=2).argmin(dim=1)
        assert sorted(nearest.tolist()) == list(range(12))
        assert torch.allclose(row, other[nearest], atol=1e-4)


@pytest.mark.parametrize("variant", ["resnet18", "resnet50"])
def test_every_weight_of_timms_resnet_has_its_place_in_transformers(variant: str) -> None:
    block, layers = VARIANTS[variant]
    widths = [64, 128, 256, 512] if block == "basic" else [256, 512, 1024, 2048]
    config = ResNetConfig(layer_type=block, depths=list(layers), hidden_sizes=widths, out_features=["stage4"])
    with torch.device("meta"):
        timm = {PREFIX + name: tensor.shape for name, tensor in ResNet(block, layers, 0).state_dict().items()}
        hub = {PREFIX + name: tensor.shape for name, tensor in ResNetBackbone(config).state_dict().items()}
    assert {own_name(name): shape for name, shape in timm.items()} == hub


def test_a_backbone_under_timms_names_answers_as_under_transformers() -> None:
    torch.manual_seed(2)
    timm = ResNet("bottleneck", (1, 2), 0, widths=(4, 6)).eval()
    config = ResNetConfig(
        embedding_size=4, layer_type="bottleneck", depths=[1, 2], hidden_sizes=[16, 24], out_features=["stage2"]
    )
    hub = ResNetBackbone(config).eval()
    hub.load_state_dict(
        {own_name(PREFIX + name).removeprefix(PREFIX): tensor for name, tensor in timm.state_dict().items()}
    )
    pixels = torch.randn(2, 3, 40, 56)
    with torch.no_grad():
        assert torch.allclose(hub(pixels).feature_maps[-1], timm.maps(pixels)[-1], atol=1e-5)


def timm_checkpoint(folder: Path, **config: Any) -> Path:
    """A DETR on ResNet-18 as the published ones are written, from one that transformers wrote; and that one."""
    settings = {"encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 8, "decoder_ffn_dim": 8, "num_queries": 5}
    settings |= {"d_model": 8, "encoder_attention_heads": 2, "decoder_attention_heads": 2, "num_labels": 3}
    backbone = ResNetConfig(
        layer_type="basic", depths=[2, 2, 2, 2], hidden_sizes=[64, 128, 256, 512], out_features=["stage4"]
    )
    torch.manual_seed(4)
    made = DetrForObjectDetection(DetrConfig(backbone_config=backbone, use_timm_backbone=False, **settings))
    made.save_pretrained(folder / "hub")
    written = json.loads((folder / "hub" / "config.json").read_text())
    del written["backbone_config"]
    published = written | {"use_timm_backbone": True, "backbone": "resnet18", "dilation": False} | config
    names = {own_name(PREFIX + name): PREFIX + name for name in ResNet("basic", (2, 2, 2, 2), 0).state_dict()}
    weights = load_file(folder / "hub" / "model.safetensors")
    for place in ("hub", "timm"):
        (folder / place).mkdir(exist_ok=True)
        processor = {"image_processor_type": "DetrImageProcessor", "size": {"shortest_edge": 64, "longest_edge": 96}}
        (folder / place / "preprocessor_config.json").write_text(json.dumps(processor))
    (folder / "timm" / "config.json").write_text(json.dumps(published))
    save_file({names.get(name, name): tensor for name, tensor in weights.items()}, folder / "timm/model.safetensors")
    return folder


def test_a_published_detr_is_read_without_timm(tmp_path: Path) -> None:
    folder = timm_checkpoint(tmp_path)
    assert any("layer4.1.bn2" in name for name in load_file(folder / "timm/model.safetensors"))
    one, other = load_queries(folder / "timm"), load_queries(folder / "hub")
    batch = one.example(1, (64, 96))
    for answer, expected in zip(one.module(**batch), other.module(**batch), strict=True):
        assert torch.allclose(answer, expected, atol=1e-5)
    assert sorted(path.name for path in folder.iterdir()) == ["hub", "timm"]


@pytest.mark.parametrize("config", [{"backbone": "tf_efficientnet_b0"}, {"dilation": True}])
def test_another_backbone_of_timm_is_refused(tmp_path: Path, config: dict[str, Any]) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "detr", "use_timm_backbone": True} | config))
    with pytest.raises(Unsupported) as caught, own_backbone(tmp_path):
        pass
    assert caught.value.code == "unsupported_architecture"


def test_missing_weights_are_named(tmp_path: Path) -> None:
    folder = write_detector(tmp_path / "yolos", "yolos")
    weights = load_file(folder / "model.safetensors")
    del weights["bbox_predictor.layers.1.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(InvalidInput) as caught:
        load_queries(folder)
    assert caught.value.code == "invalid_checkpoint"
    assert "bbox_predictor.layers.1.weight" in caught.value.message


def test_without_a_processor_nothing_says_how_pictures_are_prepared(tmp_path: Path) -> None:
    folder = write_detector(tmp_path / "yolos", "yolos")
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(InvalidInput):
        load_queries(folder)


def test_a_pickle_is_not_opened(tmp_path: Path) -> None:
    folder = write_detector(tmp_path / "yolos", "yolos")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(InvalidInput):
        load_queries(folder)
