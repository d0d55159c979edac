"""image-feature-extraction: one vector for a picture, of length one on request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.zoo.tasks.picture_model import picture, predictor
from zoo.engine.predictor import Predictor
from zoo.errors import InvalidInput

WEIGHTS = [[3, 0, 0], [0, 4, 0], [0, 0, 5]]
YELLOW, BLUE = picture((255, 255, 0)), picture((0, 0, 255), (9, 31))


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return predictor(tmp_path_factory.mktemp("features"), "image-feature-extraction", WEIGHTS)


def test_a_picture_is_answered_with_a_flat_list_of_numbers(features: Predictor) -> None:
    body: Any = features.predict(YELLOW).body
    assert body == pytest.approx([3, 4, 0], abs=1e-5)
    assert {type(value) for value in body} == {float}
    assert json.loads(json.dumps(body, allow_nan=False)) == body


def test_a_list_is_answered_with_a_list_of_vectors(features: Predictor) -> None:
    body: Any = features.predict([BLUE, YELLOW]).body
    assert [len(vector) for vector in body] == [3, 3]
    assert body[0] == pytest.approx([0, 0, 5], abs=1e-5)
    assert body[1] == features.predict(YELLOW).body


def test_a_vector_of_length_one_is_answered_on_request(features: Predictor) -> None:
    assert features.predict(YELLOW, {"normalize": True}).body == pytest.approx([0.6, 0.8, 0], abs=1e-6)
    assert features.predict(YELLOW, {"normalize": None}).body == features.predict(YELLOW).body


def test_a_picture_without_features_stays_zero_when_normalised(features: Predictor) -> None:
    assert features.predict(picture((0, 0, 0)), {"normalize": True}).body == [0.0, 0.0, 0.0]


def test_the_manifest_says_whether_vectors_have_length_one(tmp_path: Path) -> None:
    model = predictor(tmp_path, "image-feature-extraction", WEIGHTS, options={"normalise": True})
    assert model.predict(YELLOW).body == pytest.approx([0.6, 0.8, 0], abs=1e-6)
    assert model.predict(YELLOW, {"normalize": False}).body == pytest.approx([3, 4, 0], abs=1e-5)


def test_texts_are_not_embedded_by_a_model_of_pictures(features: Predictor) -> None:
    with pytest.raises(InvalidInput) as caught:
        features.embed(["a text"])
    assert caught.value.code == "wrong_task"


@pytest.mark.parametrize("parameters", [{"normalize": "perhaps"}, {"pool": True}])
def test_a_bad_option_is_named(features: Predictor, parameters: dict[str, object]) -> None:
    with pytest.raises(InvalidInput) as caught:
        features.predict(YELLOW, parameters)
    assert caught.value.param == f"parameters.{next(iter(parameters))}"
