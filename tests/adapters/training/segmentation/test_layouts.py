"""Segmenters in hub layout and in the project's own: what is read, what is written, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from adapters.training.architectures.efficientnet_lite import MAPS, EfficientNetLite
from adapters.training.architectures.unet import Segmenter, UNetDecoder
from adapters.training.checkpoint import read_json
from adapters.training.export import export
from adapters.training.gate import answers_of, prove_shapes
from adapters.training.layouts.segmenter import is_own_segmenter, lite_body, read_own_segmenter, write_own_segmenter
from adapters.training.recipes import image_segmentation
from tests.tiny_pictures import stir
from tests.tiny_segmenters import LABELS, write_segformer, write_upernet
from zoo.engine.predictor import MODEL_FILE
from zoo.errors import InvalidInput, Unsupported, ZooError
from zoo.tasks.processors.image import Fit, Preprocessing

HOW = Preprocessing(resize=Fit(64, 96), mean=(127 / 255,) * 3, std=(128 / 255,) * 3)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Segmenter]:
    """A random segmenter of the real body's size, and the folder that it was written to."""
    torch.manual_seed(2)
    lite = EfficientNetLite(0)
    stir(lite)
    network = Segmenter(lite_body(lite, HOW), UNetDecoder(tuple(MAPS.values()), 3, channels=(16, 16, 8))).eval()
    folder = tmp_path_factory.mktemp("own") / "nuclei"
    write_own_segmenter(folder, network, labels=("ground", "red", "blue"), preprocessing=HOW)
    return folder, network


def test_what_is_written_is_read_back_but_for_the_halved_precision(own: tuple[Path, Segmenter]) -> None:
    folder, network = own
    assert is_own_segmenter(folder)
    found = read_own_segmenter(folder)
    assert (found.labels, found.preprocessing) == (("ground", "red", "blue"), HOW)
    assert {tensor.dtype for tensor in load_file(folder / "model.safetensors").values()} <= {
        torch.float16,
        torch.int64,
    }
    pixels = torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        before, after = network(pixels), found.network(pixels)
    assert after.shape == (2, 3, 16, 24)
    assert after.dtype == torch.float32
    assert float((before - after).abs().max()) < 0.05 * float(before.std())


def test_a_starter_stays_below_its_twelve_megabytes(own: tuple[Path, Segmenter]) -> None:
    assert (own[0] / "model.safetensors").stat().st_size < 12_000_000


def test_the_own_layout_is_served_at_its_fixed_size_and_passes_the_gate(
    own: tuple[Path, Segmenter], tmp_path: Path
) -> None:
    servable = image_segmentation.load(own[0])
    assert (servable.architecture, servable.labels) == ("unet-effnet-lite0", ("ground", "red", "blue"))
    assert servable.limits == {"height": 64, "width": 96}
    assert Preprocessing.of(servable.options["preprocessing"]) == HOW
    export(servable, tmp_path / MODEL_FILE)
    parity = prove_shapes(tmp_path, answers_of(servable), threads=1)
    assert parity.rows == 8  # one, two and five pictures
    assert parity.argmax_agreement == 1.0


@pytest.mark.parametrize(
    "change",
    [
        {"label_names": ["one"]},
        {"label_names": "ground"},
        {"label_names": ["ground", "", "blue"]},
        {"label_names": ["ground", "red", "blue", "green"]},
        {"channels": [16, 16]},
        {"channels": [16, 16, 7]},
        {"channels": [16, 16, 10**9]},
        {"preprocessing": {"resize": {"mode": "shortest", "shortest": 64}}},
        {"preprocessing": {"resize": {"mode": "fit", "height": 0, "width": 64}}},
        {"preprocessing": None},
    ],
    ids=str,
)
def test_a_config_that_contradicts_itself_is_refused(
    own: tuple[Path, Segmenter], tmp_path: Path, change: dict[str, Any]
) -> None:
    (tmp_path / "model.safetensors").symlink_to(own[0] / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(read_json(own[0] / "config.json") | change))
    with pytest.raises(InvalidInput) as caught:
        read_own_segmenter(tmp_path)
    assert caught.value.code == "invalid_checkpoint"


def test_missing_weights_are_named(own: tuple[Path, Segmenter], tmp_path: Path) -> None:
    weights = load_file(own[0] / "model.safetensors")
    del weights["head.classifier.bias"]
    save_file(weights, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text((own[0] / "config.json").read_text())
    with pytest.raises(InvalidInput, match="classifier.bias"):
        read_own_segmenter(tmp_path)


@pytest.mark.parametrize("write", [write_segformer, write_upernet], ids=["segformer", "upernet"])
def test_a_hub_segmenter_answers_on_the_decoders_grid(write: Any, tmp_path: Path) -> None:
    servable = image_segmentation.load(write(tmp_path / "one"))
    assert servable.labels == LABELS
    assert servable.axes == {0: "batch"}
    assert servable.sizes == ((64, 64),) * 3
    with torch.no_grad():
        assert servable.module(**servable.example(2, (64, 64))).shape == (2, 5, 16, 16)


def edited(folder: Path, file: str, change: dict[str, Any]) -> Path:
    path = folder / file
    path.write_text(json.dumps(read_json(path) | change))
    return folder


@pytest.mark.parametrize(
    ("file", "change", "code"),
    [
        ("config.json", {"architectures": ["SegformerForImageClassification"]}, "unsupported_architecture"),
        ("config.json", {"model_type": "mask2former"}, "unsupported_architecture"),
        ("preprocessor_config.json", {"do_resize": False}, "unsupported_preprocessing"),
        ("preprocessor_config.json", {"size": {"shortest_edge": 64}}, "unsupported_preprocessing"),
        ("preprocessor_config.json", {"size": {"height": -1, "width": 64}}, "invalid_checkpoint"),
        ("config.json", {"hidden_sizes": [8, 16, 16, 32]}, "invalid_checkpoint"),
    ],
    ids=["other head", "other kind", "no resize", "shortest edge", "negative", "other sizes"],
)
def test_a_hub_segmenter_that_cannot_be_served_is_refused(
    file: str, change: dict[str, Any], code: str, tmp_path: Path
) -> None:
    folder = edited(write_segformer(tmp_path / "one"), file, change)
    with pytest.raises(ZooError) as caught:
        image_segmentation.load(folder)
    assert caught.value.code == code


def test_a_model_of_one_class_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="two"):
        image_segmentation.load(write_segformer(tmp_path / "one", labels=("crack",)))


@pytest.mark.parametrize(
    "change",
    [
        {"backbone_config": None, "backbone": "some/backbone"},
        {"backbone_config": None},
        {"use_timm_backbone": True},
        {"backbone_config": {"model_type": "timm_backbone", "backbone": "resnet18"}},
    ],
    ids=["named", "nothing", "timm", "described as timm"],
)
def test_an_upernet_whose_backbone_is_elsewhere_is_refused_before_anyone_is_asked_for_it(
    tmp_path: Path, change: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(*_: Any, **__: Any) -> None:
        raise AssertionError("the network was asked")

    folder = edited(write_upernet(tmp_path / "one"), "config.json", change)
    monkeypatch.setattr("socket.socket.connect", asked)
    monkeypatch.setattr("socket.getaddrinfo", asked)
    with pytest.raises(Unsupported) as caught:
        image_segmentation.load(folder)
    assert caught.value.code == "unsupported_architecture"
