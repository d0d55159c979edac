"""What was learnt on EfficientNet-Lite0, an adapter and a head, is imported beside the published body."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from adapters.jobs import Hyperparameters
from adapters.training import lora
from adapters.training.architectures.efficientnet_lite import MAPS, WEIGHTS_FILE, EfficientNetLite
from adapters.training.architectures.unet import Segmenter, UNetDecoder
from adapters.training.checkpoint import infer_task
from adapters.training.detection.dense_detector import DetectorConfig, new_detector
from adapters.training.hyperparameters import resolve
from adapters.training.layouts.adapted import write_adapted
from adapters.training.layouts.segmenter import lite_body
from adapters.training.pictures.body import PictureBody, load_body
from adapters.training.recipe import Servable, load_recipe
from adapters.training.recipes.object_detection import DetectionAdaptation
from tests.tiny_pictures import stir
from zoo.errors import InvalidInput, Unsupported
from zoo.tasks.processors.image import Fit, Preprocessing

LABELS = ("ground", "thing")
HOW = Preprocessing(resize=Fit(64, 64))
PICTURES = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(3))


@pytest.fixture(autouse=True)
def published(monkeypatch: pytest.MonkeyPatch) -> Mapping[str, Tensor]:
    """Random weights in place of the published ones, which are opened by their hash alone."""
    torch.manual_seed(2)
    network = EfficientNetLite()
    stir(network)
    weights = network.state_dict()

    def read(path: Path) -> dict[str, Tensor]:
        return {name: value.clone() for name, value in weights.items()}

    monkeypatch.setattr(EfficientNetLite, "read_weights", staticmethod(read))
    return weights


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """The published body alone."""
    return beside_the_body(tmp_path / "bare")


def beside_the_body(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / WEIGHTS_FILE).touch()
    return folder


def network_of(published: Mapping[str, Tensor]) -> EfficientNetLite:
    network = EfficientNetLite(classes=0)
    network.load_state_dict({name: value for name, value in published.items() if not name.startswith("classifier.")})
    return network


def written(network: Any, folder: Path, **config: Any) -> nn.Module:
    """A folder with an adapter that changes the body's last two blocks, and a head; the network with both."""
    body: PictureBody = network.body
    plan = resolve(Hyperparameters(), DetectionAdaptation.defaults, rows=10, layers=17, max_tokens=None)
    wrapped = lora.wrap(body.requires_grad_(False), lora.targets(body, body.steps()[-2:]), plan.ranks, base="lite")
    with torch.no_grad():
        for weight in [*wrapped.parameters(), *network.head.parameters()]:
            if weight.requires_grad:
                weight.copy_((0.1 * torch.randn_like(weight)).half())
    write_adapted(beside_the_body(folder), wrapped, network.head, labels=LABELS, **config)
    network.body = lora.merged(wrapped)
    made: nn.Module = network
    return made.eval()


def detector(published: Mapping[str, Tensor], folder: Path) -> nn.Module:
    config = DetectorConfig(label_names=list(LABELS), side=64, channels=16, depth=1)
    settings = config.model_dump(mode="json", exclude={"label_names"})
    return written(new_detector(config, network_of(published)), folder, **settings)


def segmenter(published: Mapping[str, Tensor], folder: Path) -> nn.Module:
    head = UNetDecoder(tuple(MAPS.values()), len(LABELS), channels=(16, 16, 8))
    network = Segmenter(lite_body(network_of(published), HOW), head)
    about = {"architecture": "unet-effnet-lite0", "task": "image-segmentation", "channels": [16, 16, 8]}
    return written(network, folder, **about, preprocessing=HOW.as_dict())


MADE = {"object-detection": detector, "image-segmentation": segmenter}


def loaded(folder: Path) -> Servable:
    return load_recipe(infer_task(folder)).load(folder)


@pytest.mark.parametrize("task", MADE)
def test_it_answers_as_the_network_that_was_written(task: str, published: Mapping[str, Tensor], tmp_path: Path) -> None:
    network = MADE[task](published, tmp_path / "small")
    servable = loaded(tmp_path / "small")
    assert servable.labels == LABELS
    torch.testing.assert_close(servable.module(PICTURES), network(PICTURES), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("task", MADE)
def test_its_body_keeps_what_the_adapter_has_learnt(
    task: str, published: Mapping[str, Tensor], bare: Path, tmp_path: Path
) -> None:
    MADE[task](published, tmp_path / "small")
    coarsest, untaught = (load_body(folder).maps(PICTURES)[-1] for folder in (tmp_path / "small", bare))
    assert not torch.allclose(coarsest, untaught, atol=1e-2)


@pytest.mark.parametrize("task", MADE)
def test_it_is_no_classifier_of_what_its_body_was_trained_on(
    task: str, published: Mapping[str, Tensor], tmp_path: Path
) -> None:
    MADE[task](published, tmp_path / "small")
    with pytest.raises(Unsupported) as caught:
        load_recipe("image-classification").load(tmp_path / "small")
    assert caught.value.code == "unsupported_task"


@pytest.mark.parametrize("task", MADE)
def test_all_of_it_but_the_body_is_stored_in_half_precision(
    task: str, published: Mapping[str, Tensor], tmp_path: Path
) -> None:
    MADE[task](published, tmp_path / "small")
    stored = [load_file(path) for path in (tmp_path / "small" / "adapter").glob("*.safetensors")]
    assert {tensor.dtype for tensors in stored for tensor in tensors.values()} == {torch.float16}


@pytest.mark.parametrize("task", MADE)
def test_a_head_that_lacks_a_layer_is_refused(task: str, published: Mapping[str, Tensor], tmp_path: Path) -> None:
    MADE[task](published, tmp_path / "small")
    path = tmp_path / "small" / "adapter" / "head.safetensors"
    head = load_file(path)
    head.popitem()
    save_file(head, str(path))
    with pytest.raises(InvalidInput, match=r"head\.safetensors") as caught:
        loaded(tmp_path / "small")
    assert caught.value.code == "invalid_checkpoint"
