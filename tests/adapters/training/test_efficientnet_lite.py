"""EfficientNet-Lite0: the published names, TensorFlow's padding, sizes other than 224, and the same answers as ONNX."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from adapters.training.architectures.efficientnet_lite import (
    WEIGHTS_FILE,
    WEIGHTS_SHA256,
    EfficientNetLite,
    own_names,
    same_padding,
)
from adapters.training.export import export
from adapters.training.recipe import Servable
from tests.tiny_pictures import stir
from zoo.catalogue.registry import load_catalogue
from zoo.engine.session import Session
from zoo.errors import InvalidInput

# Channels in, inside and out of each block, and its kernel, as the published file's shapes say.
BLOCKS = [
    (32, 32, 16, 3),
    (16, 96, 24, 3),
    (24, 144, 24, 3),
    (24, 144, 40, 5),
    (40, 240, 40, 5),
    (40, 240, 80, 3),
    (80, 480, 80, 3),
    (80, 480, 80, 3),
    (80, 480, 112, 5),
    (112, 672, 112, 5),
    (112, 672, 112, 5),
    (112, 672, 192, 5),
    (192, 1152, 192, 5),
    (192, 1152, 192, 5),
    (192, 1152, 192, 5),
    (192, 1152, 320, 3),
]


def published() -> dict[str, Tensor]:
    """Tensors of zeros under the names and with the shapes of the published file."""
    shapes: dict[str, tuple[int, ...]] = {"_conv_stem.weight": (32, 3, 3, 3), **_norm("_bn0", 32)}
    for place, (channels, inner, width, size) in enumerate(BLOCKS):
        block = f"_blocks.{place}"
        if place:
            shapes |= {f"{block}._expand_conv.weight": (inner, channels, 1, 1), **_norm(f"{block}._bn0", inner)}
        shapes |= {f"{block}._depthwise_conv.weight": (inner, 1, size, size), **_norm(f"{block}._bn1", inner)}
        shapes |= {f"{block}._project_conv.weight": (width, inner, 1, 1), **_norm(f"{block}._bn2", width)}
    shapes |= {"_conv_head.weight": (1280, 320, 1, 1), **_norm("_bn1", 1280)}
    shapes |= {"_fc.weight": (1000, 1280), "_fc.bias": (1000,)}
    return {name: torch.zeros(shape) for name, shape in shapes.items()}


def _norm(name: str, channels: int) -> dict[str, tuple[int, ...]]:
    vectors = {f"{name}.{part}": (channels,) for part in ("weight", "bias", "running_mean", "running_var")}
    return {**vectors, f"{name}.num_batches_tracked": ()}


@pytest.fixture(scope="module")
def network() -> EfficientNetLite:
    torch.manual_seed(5)
    made = EfficientNetLite(classes=7)
    stir(made)
    return made.eval().requires_grad_(False)


def test_every_published_tensor_has_its_place() -> None:
    tensors = published()
    assert (len(tensors), sum(tensor.numel() for tensor in tensors.values())) == (296, 4_694_073)
    EfficientNetLite().load_state_dict(own_names(tensors))


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("_conv_stem.weight", "stem.conv.weight"),
        ("_bn0.running_var", "stem.norm.running_var"),
        ("_bn1.bias", "top.norm.bias"),
        ("_blocks.0._bn1.weight", "blocks.0.depthwise.norm.weight"),
        ("_blocks.10._bn0.weight", "blocks.10.expand.norm.weight"),
        ("_blocks.15._project_conv.weight", "blocks.15.project.conv.weight"),
        ("_fc.bias", "classifier.bias"),
        ("_other.weight", "_other.weight"),
    ],
)
def test_names_are_mapped_and_unknown_ones_kept(theirs: str, ours: str) -> None:
    assert list(own_names({theirs: torch.zeros(1)})) == [ours]


@pytest.mark.parametrize(
    ("length", "size", "padding"),
    [(224, 3, [0, 1]), (225, 3, [1, 1]), (224, 5, [1, 2]), (112, 5, [1, 2]), (7, 5, [2, 2]), (1, 3, [1, 1])],
)
def test_padding_is_that_of_tensorflow(length: int, size: int, padding: list[int]) -> None:
    assert same_padding(torch.zeros(1, 1, 64, length), size, 2)[:2] == padding
    assert same_padding(torch.zeros(1, 1, length, 64), size, 2)[2:] == padding


@pytest.mark.parametrize(
    ("height", "width", "sizes"),
    [
        (224, 224, [(56, 56), (28, 28), (14, 14), (7, 7)]),
        (320, 320, [(80, 80), (40, 40), (20, 20), (10, 10)]),
        (256, 384, [(64, 96), (32, 48), (16, 24), (8, 12)]),
        (65, 97, [(17, 25), (9, 13), (5, 7), (3, 4)]),
    ],
)
def test_maps_have_a_quarter_to_a_thirty_second_of_any_size(
    network: EfficientNetLite, height: int, width: int, sizes: list[tuple[int, int]]
) -> None:
    maps = network.maps(torch.zeros(1, 3, height, width))
    assert [tuple(found.shape[1:]) for found in maps] == [
        (channels, *size) for channels, size in zip((24, 40, 112, 320), sizes, strict=True)
    ]


def test_the_activation_is_cut_at_six_and_residuals_are_not_activated(network: EfficientNetLite) -> None:
    pixels = 20 * torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    stem = network.stem(pixels)
    assert (float(stem.min()), float(stem.max())) == (0.0, 6.0)
    assert float(network.maps(pixels)[0].min()) < 0


def test_the_classifier_sees_the_pooled_vector(network: EfficientNetLite) -> None:
    pixels = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    pooled = network.pooled(pixels)
    assert pooled.shape == (2, network.width) == (2, 1280)
    torch.testing.assert_close(network(pixels), network.classifier(pooled))


def test_without_classes_the_answer_is_the_pooled_vector() -> None:
    assert EfficientNetLite(classes=0).eval()(torch.zeros(1, 3, 32, 32)).shape == (1, 1280)


def test_a_size_that_is_not_square_is_exported_as_it_is(network: EfficientNetLite, tmp_path: Path) -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, pixel_values: Tensor) -> Tensor:
            answer: Tensor = self.network(pixel_values)
            return answer

    def example(rows: int, size: tuple[int, ...]) -> dict[str, Tensor]:
        return {"pixel_values": torch.randn(rows, 3, *size, generator=torch.Generator().manual_seed(rows))}

    size = (64, 97)
    servable = Servable(
        Named().eval(), ("pixel_values",), ("logits",), example, (size,), {0: "batch"}, "efficientnet_lite"
    )
    export(servable, tmp_path / "model.onnx")
    batch = example(2, size)
    (served,) = Session(tmp_path / "model.onnx", threads=1).run({name: one.numpy() for name, one in batch.items()})
    np.testing.assert_allclose(np.asarray(served, dtype=float), network(batch["pixel_values"]).numpy(), atol=1e-4)


def test_a_pickle_with_other_bytes_is_never_opened(tmp_path: Path) -> None:
    path = tmp_path / WEIGHTS_FILE
    torch.save(published(), path)
    with pytest.raises(InvalidInput) as caught:
        EfficientNetLite.read_weights(path)
    assert caught.value.code == "unsafe_weights"


@pytest.mark.parametrize("name", ["effnet-lite0", "effnet-lite0-features"])
def test_the_catalogue_pins_the_same_bytes(name: str) -> None:
    assert load_catalogue()[name].files == {WEIGHTS_FILE: WEIGHTS_SHA256}
