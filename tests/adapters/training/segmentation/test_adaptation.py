"""Adapting to pictures with masks: views, classes that are ignored, and figures at the pictures' size."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch

from adapters.datasets import Example
from adapters.jobs import Hyperparameters
from adapters.training import lora
from adapters.training.architectures.efficientnet_lite import MAPS, EfficientNetLite
from adapters.training.architectures.unet import Segmenter, UNetDecoder
from adapters.training.layer_cut import LayerCut
from adapters.training.layouts.segmenter import lite_body, write_own_segmenter
from adapters.training.recipe import load_recipe
from adapters.training.recipes.image_segmentation import SegmentationAdaptation
from adapters.training.segmentation.targets import Frame, at_own_size
from tests.tiny_pictures import write_picture_checkpoint
from tests.tiny_segmenters import png_of, scene, write_segformer, write_upernet
from zoo.catalogue.entry import ModelEntry
from zoo.errors import InvalidDataset, Unsupported
from zoo.tasks.processors.image import Fit, Preprocessing

LABELS = ("ground", "red", "blue")
BASE = ModelEntry(
    name="body",
    version=1,
    task="image-classification",
    modality="image",
    architecture="resnet",
    licence="mit",
    created=1,
)


@dataclass(frozen=True)
class Scene:
    """What the adaptation reads of an ``Example``."""

    row: int
    picture: bytes
    mask: bytes

    def read(self, role: str) -> bytes:
        return {"image": self.picture, "mask": self.mask}[role]


def scenes(count: int, *, width: int = 90, height: int = 64) -> list[Example]:
    made = []
    for row in range(1, count + 1):
        picture, mask = scene(width, height, seed=row)
        made.append(Scene(row, png_of(picture), png_of(mask)))
    return cast("list[Example]", made)


def adaptation_on(
    folder: Path, examples: Sequence[Example], *, labels: tuple[str, ...] = LABELS
) -> SegmentationAdaptation:
    recipe = load_recipe("image-segmentation")
    made = recipe.adapt(folder, BASE, examples, labels=labels, asked=Hyperparameters())
    assert isinstance(made, SegmentationAdaptation)
    return made


@pytest.fixture(scope="module")
def body(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ResNet for photographs: maps at 1/4 and 1/8."""
    return write_picture_checkpoint(
        tmp_path_factory.mktemp("bodies") / "resnet",
        "timm-resnet-large",
        model_args={"layers": [1, 1, 1], "widths": [4, 6, 8]},
    )


def test_the_input_has_the_proportions_of_the_data_in_multiples_of_32(body: Path) -> None:
    size = adaptation_on(body, scenes(3, width=400, height=280)).servable().sizes[0]
    assert size == (224, 320)  # no larger than the bound
    assert adaptation_on(body, scenes(3, width=60, height=60)).servable().sizes[0] == (192, 192)
    assert adaptation_on(body, scenes(3, width=64, height=256)).servable().sizes[0] == (256, 64)


def test_every_view_but_the_first_differs_and_all_are_the_same_again(body: Path) -> None:
    examples = scenes(2)
    adaptation = adaptation_on(body, examples)
    items = adaptation.encode(examples, views=3)
    assert len(items) == 6
    pixels = [item.read()["pixel_values"] for item in items]
    masks = [item.target.mask for item in items]
    plain = adaptation.encode(examples)
    for row in range(2):
        torch.testing.assert_close(pixels[3 * row], plain[row].read()["pixel_values"])
        assert torch.equal(masks[3 * row], plain[row].target.mask)
        assert not torch.equal(pixels[3 * row], pixels[3 * row + 1])
        assert not torch.equal(masks[3 * row + 1], masks[3 * row + 2])
    again = adaptation.encode(examples, views=3)
    assert all(torch.equal(one.target.mask, other) for one, other in zip(again, masks, strict=True))
    assert all(torch.equal(one.read()["pixel_values"], other) for one, other in zip(again, pixels, strict=True))


def test_a_value_without_a_name_is_ignored_and_the_others_keep_their_order(body: Path) -> None:
    examples = scenes(2)
    adaptation = adaptation_on(body, examples, labels=("ground", "", "blue"))
    assert adaptation.labels == ("ground", "blue")
    (item, _) = adaptation.encode(examples)
    own = item.target.own()
    assert set(np.unique(own).tolist()) == {0, 1, 255}
    _, mask = scene(90, 64, seed=1)
    assert np.array_equal(own == 255, mask == 1)
    assert np.array_equal(own == 1, mask == 2)


def perfect(adaptation: SegmentationAdaptation, example: Example) -> torch.Tensor:
    """Logits on the grid of a network that knows the mask."""
    (item,) = adaptation.encode([example])
    height, width = item.target.frame.network
    mask = item.target.mask[2::4, 2::4].long().clamp(max=2)
    assert mask.shape == (height // 4, width // 4)
    return torch.nn.functional.one_hot(mask, 3).permute(2, 0, 1).float() * 10


def test_figures_are_at_the_pictures_own_size(body: Path) -> None:
    examples = scenes(2)
    adaptation = adaptation_on(body, examples)
    outputs = torch.stack([perfect(adaptation, example) for example in examples])
    figures = adaptation.metrics(outputs, [item.target for item in adaptation.encode(examples)])
    assert figures["rows"] == 2
    assert figures["pixels"] == 2 * 90 * 64
    assert 0.9 < figures["mean_iou"] < 1.0  # the grid is coarser than the mask
    assert set(figures["per_class"]) == set(LABELS)
    outputs[:, [0, 1]] = outputs[:, [1, 0]]
    assert adaptation.metrics(outputs, [item.target for item in adaptation.encode(examples)])["mean_iou"] < 0.5


def test_a_served_answer_agrees_only_with_its_own_row(body: Path) -> None:
    examples = scenes(2)
    adaptation = adaptation_on(body, examples)
    row, other = perfect(adaptation, examples[0]), perfect(adaptation, examples[1])
    frame = Frame.of((64, 90), adaptation.preprocessing)
    classes = at_own_size(row, frame).argmax(dim=0).numpy()
    answer: list[dict[str, Any]] = [
        {
            "label": label,
            "score": 1.0,
            "mask": base64.b64encode(png_of((classes == place).astype(np.uint8) * 255)).decode(),
        }
        for place, label in enumerate(LABELS)
    ]
    assert adaptation.agrees(row, answer, examples[0])
    assert not adaptation.agrees(other, answer, examples[0])
    swapped = [{**one, "label": {"red": "blue", "blue": "red"}.get(one["label"], one["label"])} for one in answer]
    assert not adaptation.agrees(row, swapped, examples[0])
    assert not adaptation.agrees(row, answer[1:], examples[0])


@pytest.mark.parametrize("kind", ["timm-resnet-large", "timm-vgg", "segformer"])
def test_lora_and_kept_activations_give_what_a_whole_pass_gives(kind: str, tmp_path: Path) -> None:
    if kind == "segformer":
        folder = write_segformer(tmp_path / kind)
    else:
        arguments = {
            "timm-resnet-large": {"layers": [1, 1, 1], "widths": [4, 6, 8]},
            "timm-vgg": {"plan": [8, "M", 8, "M", 12, "M", 16, "M"]},
        }[kind]
        folder = write_picture_checkpoint(tmp_path / kind, kind, model_args=arguments)
    examples = scenes(2)
    adaptation = adaptation_on(folder, examples)
    batch = adaptation.collate(adaptation.encode(examples))
    with torch.no_grad():
        whole = adaptation.network(**batch)
        for cut in range(1, len(adaptation.steps())):
            if adaptation.defaults.top == 1.0:
                break
            parts = LayerCut(adaptation.steps, cut, adaptation.taps)
            kept = parts.lower(lambda: adaptation.network(**batch))
            dummy = adaptation.collate(adaptation.encode(examples), entered=True)
            torch.testing.assert_close(parts.upper(kept, partial(adaptation.network, **dummy)), whole)
        assert whole.shape[:2] == (2, 3)
    names = lora.targets(adaptation.body, adaptation.steps())
    assert names
    assert all(not name.startswith("decode_head") for name in names)
    assert all(weight.requires_grad for weight in adaptation.head.parameters())
    assert not any(weight.requires_grad for weight in adaptation.body.parameters())


def test_a_segmenter_of_ours_starts_from_its_own_decoder(tmp_path: Path) -> None:
    torch.manual_seed(4)
    how = Preprocessing(resize=Fit(64, 64))
    decoder = UNetDecoder(tuple(MAPS.values()), 2, channels=(16, 16, 8))
    write_own_segmenter(
        tmp_path / "own",
        Segmenter(lite_body(EfficientNetLite(0), how), decoder),
        labels=("blue", "sky"),
        preprocessing=how,
    )
    adaptation = adaptation_on(tmp_path / "own", scenes(2))
    head = adaptation.head
    assert isinstance(head, UNetDecoder)
    torch.testing.assert_close(head.refine.conv.weight, decoder.refine.conv.weight, atol=1e-3, rtol=1e-2)
    torch.testing.assert_close(head.classifier.weight[2], decoder.classifier.weight[0], atol=1e-3, rtol=1e-2)
    assert head.classifier.weight.shape[0] == 3
    assert adaptation.servable().sizes[0] == (128, 192)
    assert adaptation.defaults.top < 1.0
    assert adaptation.taps == (3, 5, 11, 16)


@pytest.mark.parametrize("kind", ["vit", "upernet"])
def test_what_cannot_be_segmented_with_is_refused_with_what_can(kind: str, tmp_path: Path) -> None:
    folder = write_upernet(tmp_path / kind) if kind == "upernet" else write_picture_checkpoint(tmp_path / kind, kind)
    with pytest.raises(Unsupported, match="effnet-lite0") as caught:
        adaptation_on(folder, scenes(2))
    assert caught.value.code == "not_adaptable"


@pytest.mark.parametrize("labels", [("ground",), ("", "red"), ()], ids=str)
def test_a_single_class_cannot_be_told_from_anything(body: Path, labels: tuple[str, ...]) -> None:
    with pytest.raises(InvalidDataset, match="background"):
        adaptation_on(body, scenes(2), labels=labels)
