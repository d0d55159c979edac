"""image-classification: labels and scores of a picture, through the predictor that serves."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from tests.zoo.tasks.picture_model import picture, predictor
from zoo.engine.predictor import Predictor
from zoo.errors import ArtifactCorrupt, InvalidInput, Unsupported

LABELS = ("red", "green", "blue", "grey", "dark", "bright", "none")
WEIGHTS = [[4, -2, -2], [-2, 4, -2], [-2, -2, 4], [0, 0, 0], [-1, -1, -1], [1, 1, 1], [-3, -3, -3]]
RED = picture((255, 0, 0))
SOFTMAX = {"red": 0.925318, "bright": 0.046069, "grey": 0.016948, "dark": 0.006235, "green": 0.002294}
SIGMOID = {"red": 0.982014, "bright": 0.731059, "grey": 0.5, "dark": 0.268941, "green": 0.119203}
BARE = {"red": 4.0, "bright": 1.0, "grey": 0.0, "dark": -1.0, "green": -2.0}


@pytest.fixture(scope="module")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return predictor(tmp_path_factory.mktemp("colours"), "image-classification", WEIGHTS, labels=LABELS)


def scores(answer: Any) -> dict[str, float]:
    assert [set(item) for item in answer] == [{"label", "score"}] * len(answer)
    return {item["label"]: item["score"] for item in answer}


@pytest.mark.parametrize(
    ("function", "expected"), [(None, SOFTMAX), ("softmax", SOFTMAX), ("sigmoid", SIGMOID), ("none", BARE)]
)
def test_five_labels_are_answered_highest_first(
    colours: Predictor, function: str | None, expected: dict[str, float]
) -> None:
    answer = scores(colours.predict(RED, {"function_to_apply": function}).body)
    assert list(answer) == list(expected)
    assert answer == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("top_k", "count"), [(1, 1), (2, 2), (7, 7), (50, 7), (None, 5)])
def test_top_k_labels_are_answered(colours: Predictor, top_k: int | None, count: int) -> None:
    assert len(scores(colours.predict(RED, {"top_k": top_k}).body)) == count


def test_all_scores_add_up_to_one_and_are_plain_json(colours: Predictor) -> None:
    body: Any = colours.predict(picture((12, 200, 99)), {"top_k": 7}).body
    assert sum(item["score"] for item in body) == pytest.approx(1, abs=1e-6)
    assert json.loads(json.dumps(body, allow_nan=False)) == body


def test_a_list_is_answered_with_a_list_in_its_order(colours: Predictor) -> None:
    pictures = [picture(colour) for colour in ((0, 0, 255), (255, 0, 0), (0, 255, 0))] * 7
    prediction = colours.predict(pictures, {"top_k": 1})
    body: Any = prediction.body
    assert [answer[0]["label"] for answer in body] == ["blue", "red", "green"] * 7
    assert (prediction.items, prediction.tokens, prediction.truncated) == (21, 21 * 64, 0)


def test_base64_is_answered_as_the_bytes_are(colours: Predictor) -> None:
    assert colours.predict(base64.b64encode(RED).decode()).body == colours.predict(RED).body


def test_a_bad_picture_in_a_list_harms_no_other(colours: Predictor) -> None:
    body: Any = colours.predict([RED, b"%PDF-1.7", RED[:40], "no base64", RED]).body
    assert [item["code"] for item in body[1:4]] == ["unsupported_image", "invalid_image", "invalid_base64"]
    assert body[0] == body[4] == colours.predict(RED).body
    with pytest.raises(Unsupported):
        colours.predict([b"%PDF-1.7"])


def test_a_model_of_independent_labels_is_served_with_a_sigmoid(tmp_path: Path) -> None:
    options = {"function_to_apply": "sigmoid"}
    model = predictor(tmp_path, "image-classification", WEIGHTS, labels=LABELS, options=options)
    assert scores(model.predict(RED).body) == pytest.approx(SIGMOID, abs=1e-5)
    assert scores(model.predict(RED, {"function_to_apply": "softmax"}).body) == pytest.approx(SOFTMAX, abs=1e-5)


def test_the_model_warms_up_on_a_picture_of_its_own(colours: Predictor) -> None:
    colours.warm()
    assert len(scores(colours.predict(RED).body)) == 5


def test_pictures_of_different_shapes_are_answered_together(tmp_path: Path) -> None:
    options = {"preprocessing": {"resize": {"mode": "shortest", "shortest": 8}}}
    model = predictor(tmp_path, "image-classification", WEIGHTS, labels=LABELS, options=options)
    wide, tall, other = picture((255, 0, 0)), picture((0, 0, 255), (10, 30)), picture((0, 255, 0))
    body: Any = model.predict([wide, tall, other, wide], {"top_k": 1}).body
    assert [answer[0]["label"] for answer in body] == ["red", "blue", "green", "red"]


@pytest.mark.parametrize(
    ("parameters", "param"),
    [
        ({"top_k": 0}, "parameters.top_k"),
        ({"top_k": 1.5}, "parameters.top_k"),
        ({"top_k": "x" * 5_000_000}, "parameters.top_k"),
        ({"function_to_apply": "tanh"}, "parameters.function_to_apply"),
        ({"threshold": 0.5}, "parameters.threshold"),
    ],
    ids=["zero", "fraction", "5-MB", "function", "unknown"],
)
def test_a_bad_option_is_named(colours: Predictor, parameters: dict[str, object], param: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        colours.predict(RED, parameters)
    assert caught.value.param == param
    assert len(caught.value.message) < 200


def test_a_manifest_without_preprocessing_is_corrupt(tmp_path: Path) -> None:
    with pytest.raises(ArtifactCorrupt, match="preprocessing"):
        predictor(tmp_path, "image-classification", WEIGHTS, labels=LABELS, options={"preprocessing": None})
