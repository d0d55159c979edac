"""Pictures to a model's floats: as transformers' own processors do it on Pillow, and ours beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import transformers
from numpy.typing import NDArray
from PIL import Image

from adapters.training.pictures.processor_config import of_processor
from zoo.errors import ArtifactCorrupt, InvalidInput
from zoo.tasks.processors.image import (
    SAMPLE,
    Crop,
    Exact,
    Fit,
    ImageProcessor,
    Preprocessing,
    Shortest,
    ShortestLongest,
    open_picture,
    prepare,
)

PROCESSORS: list[tuple[str, dict[str, Any]]] = [
    ("ViT", {}),
    ("ViT", {"size": {"height": 96, "width": 64}, "resample": 1}),
    ("ViT", {"size": {"shortest_edge": 60}, "do_center_crop": True, "crop_size": {"height": 50, "width": 61}}),
    ("ViT", {"do_resize": False, "do_normalize": False}),
    ("DeiT", {}),
    ("Beit", {"do_center_crop": True}),
    ("ConvNext", {"size": {"shortest_edge": 224}, "crop_pct": 0.875}),
    ("ConvNext", {"size": {"shortest_edge": 288}, "crop_pct": 0.95}),
    ("ConvNext", {}),
    ("MobileNetV1", {}),
    ("MobileNetV2", {}),
    ("EfficientNet", {"resample": 0, "do_center_crop": True}),
    ("EfficientNet", {"rescale_offset": True, "rescale_factor": 1 / 127.5, "include_top": False}),
    ("EfficientNet", {"image_std": [0.2, 0.3, 0.4]}),
    ("Bit", {}),
    ("Bit", {"size": {"shortest_edge": 64}, "crop_size": {"height": 71, "width": 70}}),
    ("CLIP", {}),
    ("Detr", {}),
    ("Detr", {"size": {"shortest_edge": 96, "longest_edge": 160}}),
    ("ConditionalDetr", {"size": {"shortest_edge": 80, "longest_edge": 100}}),
    ("Yolos", {}),
    ("Yolos", {"size": {"shortest_edge": 96, "longest_edge": 160}}),
    ("Yolos", {"size": {"shortest_edge": 100, "longest_edge": 133}}),
    ("RTDetr", {}),
    ("RTDetr", {"do_normalize": True, "size": {"height": 97, "width": 320}}),
    ("Segformer", {}),
    ("Segformer", {"size": {"height": 128, "width": 160}}),
]
SIZES = [(7, 5), (31, 200), (200, 31), (96, 96), (140, 96), (161, 97), (480, 640), (641, 479), (300, 224), (333, 1000)]
IMAGENET = Preprocessing(
    Shortest(256), "bicubic", Crop(224, 224), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
)


def noise(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(height * width).integers(0, 256, (height, width, 3), dtype=np.uint8)


def by_transformers(name: str, config: Mapping[str, Any], picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    processor: Any = getattr(transformers, f"{name}ImageProcessorPil")(**config)
    return np.asarray(processor(Image.fromarray(picture), return_tensors="np")["pixel_values"][0])


@pytest.mark.parametrize(("name", "config"), PROCESSORS, ids=lambda value: value if isinstance(value, str) else "")
def test_a_picture_is_prepared_as_by_transformers(name: str, config: dict[str, Any]) -> None:
    how = of_processor({**config, "image_processor_type": f"{name}ImageProcessor"}, "")
    level = how.rescale / np.array(how.std)[:, None, None]  # what one grey level is in floats
    for height, width in SIZES:
        expected = by_transformers(name, config, noise(height, width))
        encoded = prepare(noise(height, width), how)
        assert encoded.pixels.shape == expected.shape, (height, width)
        assert encoded.pixels.dtype == np.float32
        assert np.abs((encoded.pixels - expected) / level).max() < 1e-3, (height, width)
        assert (encoded.size, encoded.inner) == ((height, width), expected.shape[1:])


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_timms_crop_is_torchvisions(height: int, width: int) -> None:
    """Expected offsets are those of torchvision 0.27: half of an odd rest is rounded to the even number."""
    how = Preprocessing(Shortest(72), "bicubic", Crop(61, 61, "even"))
    tall, wide = (72, int(72 * width / height)) if height <= width else (int(72 * height / width), 72)
    resized = np.asarray(Image.fromarray(noise(height, width)).resize((wide, tall), Image.Resampling.BICUBIC))
    top, left = (round((length - 61) / 2.0) for length in (tall, wide))
    expected = resized[top : top + 61, left : left + 61].transpose(2, 0, 1) / np.float32(255)
    np.testing.assert_allclose(prepare(noise(height, width), how).pixels, expected, atol=1e-6)


def test_the_rounding_of_an_odd_rest_is_the_one_that_is_asked_for() -> None:
    assert [Crop(5, 5).offset(length, 5) for length in (6, 8, 10, 4, 2)] == [0, 1, 2, -1, -2]
    assert [Crop(5, 5, "even").offset(length, 5) for length in (6, 8, 10, 4, 2)] == [0, 2, 2, 0, -1]


def test_a_picture_smaller_than_the_crop_lies_in_black() -> None:
    encoded = prepare(np.full((3, 3, 3), 200, dtype=np.uint8), Preprocessing(crop=Crop(6, 6), rescale=1.0))
    expected = np.zeros((6, 6))
    expected[2:5, 2:5] = 200
    np.testing.assert_array_equal(encoded.pixels[1], expected)


@pytest.mark.parametrize(
    ("size", "inner"),
    [
        ((100, 200), (32, 64)),
        ((200, 100), (48, 24)),
        ((10, 10), (48, 48)),
        ((1, 5000), (1, 64)),
        ((5000, 1), (48, 1)),
        ((48, 64), (48, 64)),
        ((479, 640), (48, 64)),
    ],
)
def test_a_fitted_picture_keeps_its_proportions_and_is_filled_with_the_mean(
    size: tuple[int, int], inner: tuple[int, int]
) -> None:
    how = Preprocessing(Fit(48, 64), mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.2))
    encoded = prepare(np.full((*size, 3), 255, dtype=np.uint8), how)
    assert (encoded.pixels.shape, encoded.size, encoded.inner) == ((3, 48, 64), size, inner)
    height, width = inner
    np.testing.assert_allclose(encoded.pixels[:, :height, :width].min(axis=(1, 2)), [2.5, 3.0, 3.5], atol=1e-5)
    assert encoded.pixels[:, height:].any() is np.False_ and encoded.pixels[:, :, width:].any() is np.False_
    assert encoded.cost == 48 * 64
    assert encoded.truncated is False


@pytest.mark.parametrize("size", [(1, 50_000), (50_000, 1), (3, 40_000)])
def test_of_a_strip_only_what_is_shown_is_computed(size: tuple[int, int]) -> None:
    encoded = prepare(np.full((*size, 3), 90, dtype=np.uint8), IMAGENET)
    assert encoded.pixels.shape == (3, 224, 224)
    np.testing.assert_allclose(encoded.pixels[0], (90 / 255 - 0.485) / 0.229, atol=1e-5)


def test_the_crop_of_a_strip_is_that_of_the_whole_within_one_grey_level() -> None:
    picture = noise(8, 4_000)  # 512 x 256,000 when resized
    how = Preprocessing(Shortest(512), "bicubic", Crop(400, 400), rescale=1.0)
    small = Image.fromarray(picture[:, 1_990:2_010]).resize((1_280, 512), Image.Resampling.BICUBIC)
    expected = np.asarray(small)[56:456, 440:840].transpose(2, 0, 1).astype(np.float32)
    assert np.abs(prepare(picture, how).pixels - expected).max() <= 1


@pytest.mark.parametrize(
    ("size", "resize"),
    [
        ((1, 50_000), ShortestLongest(800, 1333)),
        ((10, 1_000), ShortestLongest(64, 128, 16)),
        ((1, 50_000), Shortest(64)),
    ],
)
def test_a_picture_too_narrow_for_the_model_is_refused(size: tuple[int, int], resize: Any) -> None:
    with pytest.raises(InvalidInput, match="too narrow") as caught:
        prepare(np.zeros((*size, 3), dtype=np.uint8), Preprocessing(resize))
    assert caught.value.code == "invalid_image"


def test_a_file_is_prepared_as_its_pixels_are() -> None:
    encoded = ImageProcessor(IMAGENET).encode(SAMPLE)
    np.testing.assert_array_equal(encoded.pixels, prepare(open_picture(SAMPLE), IMAGENET).pixels)
    assert encoded.size == (8, 8)


@pytest.mark.parametrize("resize", [None, Exact(5, 6), Shortest(7), ShortestLongest(8, 9, 16), Fit(10, 11)])
@pytest.mark.parametrize("crop", [None, Crop(3, 4, "even")])
def test_a_manifest_gives_back_what_was_written(resize: Any, crop: Crop | None) -> None:
    how = Preprocessing(resize, "lanczos", crop, 0.5, (1.0, 2.0, 3.0), (4.0, 5.0, 6.0))
    assert Preprocessing.of(json.loads(json.dumps(how.as_dict()))) == how


def test_the_size_is_known_where_it_is_fixed() -> None:
    known = [
        Preprocessing(resize, crop=crop).fixed for resize in (Exact(5, 6), Fit(7, 8)) for crop in (None, Crop(3, 4))
    ]
    assert known == [(5, 6), (3, 4), (7, 8), (3, 4)]
    assert [Preprocessing(resize).fixed for resize in (None, Shortest(7), ShortestLongest(8, 9))] == [None, None, None]


@pytest.mark.parametrize(
    ("written", "named"),
    [
        (None, "preprocessing"),
        ([], "preprocessing"),
        ({"resize": {"mode": "exact", "height": 0, "width": 5}}, "preprocessing.resize.exact.height"),
        ({"resize": {"mode": "exact", "height": 5}}, "preprocessing.resize.exact.width"),
        ({"resize": {"mode": "magic"}}, "preprocessing.resize"),
        ({"resize": {"mode": "shortest", "shortest": 10**9}}, "preprocessing.resize.shortest.shortest"),
        ({"resize": {"mode": "shortest", "shortest": 8, "longest": 9}}, "preprocessing.resize.shortest.longest"),
        ({"crop": {"height": 5, "width": 5, "rounding": "up"}}, "preprocessing.crop.rounding"),
        ({"resample": "cubic"}, "preprocessing.resample"),
        ({"std": [1, 0, 1]}, "preprocessing.std.1"),
        ({"mean": [1, 2]}, "preprocessing.mean"),
        ({"mean": [1, 2, float("nan")]}, "preprocessing.mean.2"),
        ({"colour": "grey"}, "preprocessing.colour"),
    ],
)
def test_a_bad_manifest_is_named_as_corrupt(written: object, named: str) -> None:
    with pytest.raises(ArtifactCorrupt) as caught:
        Preprocessing.of(written)
    assert caught.value.message.startswith(named)
    assert len(caught.value.message) < 250
