"""object-detection answers what transformers' own pipeline answers, and a dense head's positions without duplicates."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from transformers import AutoImageProcessor, pipeline

from tests.imports import Imports
from tests.tiny_detectors import LABELS, Kind, picture, write_detector
from zoo.catalogue.entry import ModelEntry
from zoo.catalogue.store import Store
from zoo.engine.predictor import Predictor
from zoo.errors import ArtifactCorrupt, InvalidInput
from zoo.tasks.object_detection import ObjectDetection
from zoo.tasks.processors.image import EncodedImage

KINDS: tuple[Kind, ...] = ("detr", "yolos", "rt-detr")
SHAPES = {"wide": (80, 60), "tall": (50, 90), "square": (70, 70), "long": (300, 60), "large": (640, 427)}
Made = tuple[Predictor, Any]


def entry(options: dict[str, Any], labels: tuple[str, ...] = LABELS) -> ModelEntry:
    return ModelEntry(
        name="finder",
        version=1,
        task="object-detection",
        modality="image",
        architecture="tiny",
        licence="none",
        created=0,
        labels=labels,
        options=options,
    )


@pytest.fixture(scope="session")
def made_of(imports: Imports, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Kind], Made]:
    """The served model and transformers' pipeline of the same checkpoint, each made once."""
    made: dict[Kind, Made] = {}
    folder = tmp_path_factory.mktemp("detectors")

    def make(kind: Kind) -> Made:
        if kind not in made:
            checkpoint = write_detector(folder / kind, kind)
            imports.bring(folder / "home", kind, checkpoint)
            store = Store(folder / "home")
            processor = AutoImageProcessor.from_pretrained(checkpoint, backend="pil")
            reference = pipeline("object-detection", model=str(checkpoint), image_processor=processor, device="cpu")
            made[kind] = Predictor(store.entry(kind, 1), store.folder(kind, 1), threads=1), reference
        return made[kind]

    return make


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content)).convert("RGB")


def assert_same(served: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    """Labels and order equal, boxes within half a pixel (so equal, as they are whole), scores within 1e-4."""
    assert [one["label"] for one in served] == [one["label"] for one in expected]
    for one, other in zip(served, expected, strict=True):
        assert one["score"] == pytest.approx(other["score"], abs=1e-4)
        assert one["box"] == other["box"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("threshold", [0.0, 0.2, 0.35, 0.6, 1.0])
def test_a_picture_is_answered_as_by_the_pipeline(
    made_of: Callable[[Kind], Made], kind: Kind, shape: str, threshold: float
) -> None:
    predictor, reference = made_of(kind)
    content = picture(*SHAPES[shape], seed=len(shape))
    body: Any = predictor.predict(content, {"threshold": threshold}).body
    assert_same(body, reference(opened(content), threshold=threshold))


@pytest.mark.parametrize("kind", KINDS)
def test_the_threshold_is_one_half_unless_sent(made_of: Callable[[Kind], Made], kind: Kind) -> None:
    predictor, reference = made_of(kind)
    content = picture(seed=5)
    body: Any = predictor.predict(content).body
    assert_same(body, reference(opened(content)))
    assert predictor.predict(content, {"threshold": 0.5}).body == body
    assert predictor.predict(content, {"threshold": None}).body == body


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_of_different_sizes_are_answered_in_one_list(made_of: Callable[[Kind], Made], kind: Kind) -> None:
    predictor, reference = made_of(kind)
    contents = [picture(*size, seed=place) for place, size in enumerate(SHAPES.values())]
    sent = [base64.b64encode(content).decode() for content in contents]
    body: Any = predictor.predict(sent, {"threshold": 0.1}).body
    for served, content in zip(body, contents, strict=True):
        assert_same(served, reference(opened(content), threshold=0.1))


def test_a_turned_photograph_is_answered_in_pixels_of_the_upright_picture(made_of: Callable[[Kind], Made]) -> None:
    predictor, reference = made_of("detr")
    image = opened(picture(90, 60, seed=2))
    exif = Image.Exif()
    exif[0x0112] = 6
    stream = io.BytesIO()
    image.save(stream, "PNG", exif=exif)
    body: Any = predictor.predict(stream.getvalue(), {"threshold": 0.1}).body
    assert_same(body, reference(image.transpose(Image.Transpose.ROTATE_270), threshold=0.1))


def test_an_answer_is_valid_json_of_plain_numbers(made_of: Callable[[Kind], Made]) -> None:
    predictor, _ = made_of("rt-detr")
    body: Any = predictor.predict(picture(), {"threshold": 0.0}).body
    assert json.loads(json.dumps(body, allow_nan=False)) == body
    assert {type(side) for one in body for side in one["box"].values()} == {int}
    assert list(body[0]["box"]) == ["xmin", "ymin", "xmax", "ymax"]


@pytest.mark.parametrize(
    ("parameters", "param"),
    [
        ({"threshold": 1.1}, "parameters.threshold"),
        ({"threshold": -0.1}, "parameters.threshold"),
        ({"threshold": "high"}, "parameters.threshold"),
        ({"threshold": [0.5]}, "parameters.threshold"),
        ({"top_k": 3}, "parameters.top_k"),
    ],
)
def test_a_bad_option_is_named(made_of: Callable[[Kind], Made], parameters: dict[str, object], param: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        made_of("yolos")[0].predict(picture(), parameters)
    assert caught.value.param == param


# A dense head, its rows written by hand: class logits (cat, dog), then xmin, ymin, xmax, ymax in prepared pixels.
DENSE = {"detector": "dense", "preprocessing": {"resize": {"mode": "fit", "height": 100, "width": 100}}}


def dense(rows: list[list[float]], *, size: tuple[int, int] = (100, 100), threshold: float = 0.5) -> list[Any]:
    """What is answered to a picture of ``size`` (height, width), fitted into 100 x 100 pixels."""
    task = ObjectDetection(entry(DENSE, ("cat", "dog")), Path())
    parameters = task.parameters({"threshold": threshold})
    scale = 100 / max(size)
    inner = (round(size[0] * scale), round(size[1] * scale))
    encoded = EncodedImage(np.zeros((3, 100, 100), dtype=np.float32), size, inner)
    answer: Any = task.postprocess(np.asarray(rows, dtype=np.float32), encoded, parameters)
    return [(one["label"], round(one["score"], 2), *one["box"].values()) for one in answer]


def test_a_dense_row_is_answered_best_first_above_the_threshold() -> None:
    rows = [[2.0, -9, 0, 0, 10, 10], [-9, 3.0, 50, 50, 90, 80], [-0.1, -9, 20, 20, 30, 30]]
    assert dense(rows) == [("dog", 0.95, 50, 50, 90, 80), ("cat", 0.88, 0, 0, 10, 10)]


def test_of_two_boxes_on_one_object_the_better_is_kept() -> None:
    rows = [[1.0, -9, 10, 10, 50, 50], [2.0, -9, 12, 10, 52, 50]]
    assert dense(rows) == [("cat", 0.88, 12, 10, 52, 50)]


def test_objects_of_one_class_side_by_side_are_both_kept() -> None:
    rows = [[1.0, -9, 10, 10, 50, 50], [2.0, -9, 30, 10, 70, 50]]
    assert [one[2] for one in dense(rows)] == [30, 10]


def test_overlapping_objects_of_two_classes_are_both_kept() -> None:
    rows = [[1.0, -9, 10, 10, 50, 50], [-9, 2.0, 10, 10, 50, 40]]
    assert [one[0] for one in dense(rows)] == ["dog", "cat"]


def test_one_position_is_not_answered_under_two_names() -> None:
    assert [one[0] for one in dense([[1.0, 2.0, 10, 10, 50, 50]])] == ["dog"]


def test_boxes_come_back_in_pixels_of_the_picture_that_was_sent() -> None:
    # 400 wide and 200 high becomes 100 x 50, so that a prepared pixel is four of the picture's.
    assert dense([[2.0, -9, 10, 5, 50, 45]], size=(200, 400)) == [("cat", 0.88, 40, 20, 200, 180)]


def test_boxes_end_at_the_borders_of_the_picture() -> None:
    assert dense([[2.0, -9, -10, -5, 120, 60]], size=(200, 400)) == [("cat", 0.88, 0, 0, 400, 200)]


def test_a_flood_of_positions_is_answered_with_300_objects() -> None:
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 95, (20_000, 2))
    rows = np.concatenate([rng.uniform(1, 4, (20_000, 2)), corner, corner + 1.5], axis=1)
    answer = dense(rows.tolist())
    assert len(answer) == 300
    assert [one[1] for one in answer] == sorted((one[1] for one in answer), reverse=True)


def test_a_manifest_that_does_not_say_how_to_read_its_boxes_is_corrupt() -> None:
    with pytest.raises(ArtifactCorrupt):
        ObjectDetection(entry({**DENSE, "detector": "crystal-ball"}), Path())
