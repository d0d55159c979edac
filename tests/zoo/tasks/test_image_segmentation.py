"""image-segmentation answers what transformers' own pipeline answers, and says how sure it is."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional
from transformers import pipeline

from tests.conftest import TinyZoo
from tests.imports import Imports
from tests.tiny_segmenters import LABELS, photograph, png_of, write_segformer, write_upernet
from zoo.engine.predictor import Predictor
from zoo.errors import InvalidInput

MODELS = ("segformer", "upernet", "upernet-swin")
SIZES = {"wide": (150, 97), "tall": (61, 130), "small": (20, 31), "input": (64, 64), "strip": (300, 5)}
Predictors = Callable[[str], Predictor]


@pytest.fixture(scope="module")
def segmenters(imports: Imports, tmp_path_factory: pytest.TempPathFactory) -> TinyZoo:
    """Shared: look, don't touch."""
    made = TinyZoo(tmp_path_factory.mktemp("segmenters"), tmp_path_factory.mktemp("segmenter-checkpoints"))
    write_segformer(made.checkpoints / "segformer")
    write_upernet(made.checkpoints / "upernet")
    write_upernet(made.checkpoints / "upernet-swin", backbone="swin")
    for name in MODELS:
        imports.bring(made.home, name, made.checkpoints / name)
    return made


@pytest.fixture(scope="module")
def predictor_of(segmenters: TinyZoo) -> Predictors:
    made: dict[str, Predictor] = {}

    def predictor(name: str) -> Predictor:
        if name not in made:
            made[name] = Predictor(segmenters.store.entry(name, 1), segmenters.store.folder(name, 1), threads=1)
        return made[name]

    return predictor


@pytest.fixture(scope="module")
def pipeline_of(segmenters: TinyZoo) -> Callable[[str], Any]:
    made: dict[str, Any] = {}

    def reference(name: str) -> Any:
        if name not in made:
            made[name] = pipeline("image-segmentation", model=str(segmenters.checkpoints / name), device="cpu")
        return made[name]

    return reference


def opened(answer: dict[str, Any]) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(answer["mask"], validate=True)))


def undecided(reference: Any, picture: Image.Image) -> NDArray[np.bool_]:
    """Pixels (height, width) whose two best logits are equal to four digits: either may win."""
    inputs = reference.image_processor(images=[picture], return_tensors="pt")
    with torch.no_grad():
        logits = reference.model(**inputs).logits
    resized = functional.interpolate(logits, size=picture.size[::-1], mode="bilinear", align_corners=False)[0]
    best = resized.topk(2, dim=0).values
    return np.asarray((best[0] - best[1]) < 1e-4)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_labels_order_and_masks_are_those_of_the_pipeline(
    predictor_of: Predictors, pipeline_of: Callable[[str], Any], model: str, size: tuple[int, int]
) -> None:
    sent = photograph(*size, seed=size[0])
    picture = Image.open(io.BytesIO(sent)).convert("RGB")
    body: Any = predictor_of(model).predict(sent).body
    expected = pipeline_of(model)(picture)
    assert [one["label"] for one in body] == [one["label"] for one in expected]
    unsure = undecided(pipeline_of(model), picture)
    assert unsure.mean() < 0.01
    for one, other in zip(body, expected, strict=True):
        mask = opened(one)
        assert (mask.format, mask.mode, mask.size) == ("PNG", "L", size)
        different = np.asarray(mask) != np.asarray(other["mask"])
        assert not (different & ~unsure).any()


def test_several_classes_are_told_apart_by_each_model(predictor_of: Predictors) -> None:
    """Else the comparisons above would hold for a model that knows one class."""
    for model in MODELS:
        body: Any = predictor_of(model).predict(photograph(150, 97, seed=150)).body
        assert len(body) >= 3


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    "parameters",
    [
        {"subtask": "semantic"},
        {"threshold": 0.99},
        {"mask_threshold": 0.1},
        {"overlap_mask_area_threshold": 1.0},
        {"subtask": None, "threshold": None, "mask_threshold": None, "overlap_mask_area_threshold": None},
    ],
    ids=["semantic", "threshold", "mask_threshold", "overlap", "nulls"],
)
def test_options_change_what_they_change_in_the_pipeline_which_is_nothing(
    predictor_of: Predictors, pipeline_of: Callable[[str], Any], model: str, parameters: dict[str, Any]
) -> None:
    sent = photograph(80, 60, seed=3)
    body = predictor_of(model).predict(sent, parameters).body
    assert body == predictor_of(model).predict(sent).body
    chosen = {name: value for name, value in parameters.items() if value is not None}
    expected = pipeline_of(model)(Image.open(io.BytesIO(sent)).convert("RGB"), **chosen)
    assert isinstance(body, list)
    assert [one["label"] for one in body] == [one["label"] for one in expected]


@pytest.mark.parametrize("model", MODELS)
def test_the_score_is_the_mean_probability_of_the_class_over_its_mask(
    predictor_of: Predictors, pipeline_of: Callable[[str], Any], model: str
) -> None:
    picture = Image.open(io.BytesIO(photograph(90, 50, seed=9))).convert("RGB")
    reference = pipeline_of(model)
    inputs = reference.image_processor(images=[picture], return_tensors="pt")
    with torch.no_grad():
        if model == "segformer":
            logits = reference.model(**inputs).logits
            grids = [(50, 90)]
        else:
            maps = reference.model.backbone.forward_with_filtered_kwargs(inputs["pixel_values"]).feature_maps
            logits = reference.model.decode_head(maps)
            grids = [(64, 64), (50, 90)]
    probabilities = logits.softmax(dim=1)
    for grid in grids:
        probabilities = functional.interpolate(probabilities, size=grid, mode="bilinear", align_corners=False)
    body: Any = predictor_of(model).predict(png_of(np.asarray(picture))).body
    for one in body:
        inside = np.asarray(opened(one)) == 255
        expected = float(probabilities[0, LABELS.index(one["label"])].numpy()[inside].mean())
        assert type(one["score"]) is float
        assert one["score"] == pytest.approx(expected, abs=1e-4)


def test_masks_of_one_picture_cover_it_once(predictor_of: Predictors) -> None:
    body: Any = predictor_of("segformer").predict(photograph(77, 33, seed=5)).body
    covered = sum((np.asarray(opened(one)) == 255).astype(int) for one in body)
    assert isinstance(covered, np.ndarray)
    assert (covered == 1).all()


def test_a_list_is_answered_with_a_list_and_one_bad_picture_harms_no_other(predictor_of: Predictors) -> None:
    good, other = photograph(40, 30), photograph(30, 40, seed=1)
    as_text = base64.b64encode(other).decode()
    body: Any = predictor_of("segformer").predict([good, "no picture", as_text]).body
    assert body[0] == predictor_of("segformer").predict(good).body
    assert set(body[1]) == {"error", "code"}
    assert body[2] == predictor_of("segformer").predict(other).body


def test_a_picture_turned_by_its_exif_gets_masks_of_the_upright_one(predictor_of: Predictors) -> None:
    upright = Image.open(io.BytesIO(photograph(80, 50, seed=2)))
    turned = upright.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90 degrees clockwise
    buffer = io.BytesIO()
    turned.save(buffer, format="PNG", exif=exif)
    body = predictor_of("segformer").predict(buffer.getvalue()).body
    assert body == predictor_of("segformer").predict(png_of(np.asarray(upright))).body


def test_a_class_without_a_name_is_in_no_mask_and_gives_its_pixels_to_nobody(segmenters: TinyZoo) -> None:
    entry = segmenters.store.entry("segformer", 1)
    folder = segmenters.store.folder("segformer", 1)
    sent = photograph(150, 97, seed=150)
    named: Any = Predictor(entry, folder, threads=1).predict(sent).body
    hidden = entry.model_copy(update={"labels": tuple("" if one == named[0]["label"] else one for one in entry.labels)})
    assert Predictor(hidden, folder, threads=1).predict(sent).body == named[1:]


@pytest.mark.parametrize("subtask", ["instance", "panoptic"])
def test_what_the_model_cannot_do_is_refused_and_what_it_can_is_said(predictor_of: Predictors, subtask: str) -> None:
    with pytest.raises(InvalidInput, match="semantic") as caught:
        predictor_of("segformer").predict(photograph(20, 20), {"subtask": subtask})
    assert (caught.value.code, caught.value.param) == ("unsupported_subtask", "parameters.subtask")


@pytest.mark.parametrize(
    ("parameters", "param"),
    [
        ({"subtask": "depth"}, "parameters.subtask"),
        ({"threshold": 1.5}, "parameters.threshold"),
        ({"threshold": -0.1}, "parameters.threshold"),
        ({"threshold": "high"}, "parameters.threshold"),
        ({"mask_threshold": 2}, "parameters.mask_threshold"),
        ({"overlap_mask_area_threshold": [0.5]}, "parameters.overlap_mask_area_threshold"),
        ({"top_k": 3}, "parameters.top_k"),
        ({"threshold": "9" * 5_000_000}, "parameters.threshold"),
    ],
    ids=["subtask", "above", "below", "word", "mask", "overlap", "unknown", "5-MB-number"],
)
def test_options_that_make_no_sense_are_refused_by_name(
    predictor_of: Predictors, parameters: dict[str, Any], param: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        predictor_of("segformer").predict(photograph(20, 20), parameters)
    assert caught.value.param == param
    assert len(caught.value.message) < 500


def test_the_answer_is_json(predictor_of: Predictors) -> None:
    body = predictor_of("upernet").predict(photograph(30, 30)).body
    assert json.loads(json.dumps(body, allow_nan=False)) == body


def test_the_manifest_says_what_is_needed_to_answer(segmenters: TinyZoo) -> None:
    entry = segmenters.store.entry("upernet", 1)
    assert (entry.task, entry.modality, entry.architecture) == ("image-segmentation", "image", "upernet")
    assert entry.labels == LABELS
    assert entry.limits == {"height": 64, "width": 64}
    assert entry.options["via_input"] is True
    assert not segmenters.store.entry("segformer", 1).options["via_input"]
    assert not (segmenters.store.folder("upernet", 1) / "tokenizer.json").is_file()
