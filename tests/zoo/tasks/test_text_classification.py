"""text-classification answers what transformers' own pipeline answers."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from transformers import pipeline

from tests.conftest import TinyZoo
from zoo.engine.predictor import Predictor
from zoo.errors import InvalidInput

Predictors = Callable[[str], Predictor]
MODELS = ("mood", "mood-bert")
TEXTS = ["my parcel was late", "Refund my card!", "why is the price not the price " * 9, "p", "password 12,5 \u00e9"]
ODD = [
    "\U0001f600\U0001f469\u200d\U0001f469\u200d\U0001f467",
    "\u05e9\u05dc\u05d5\u05dd \u202e\u0645\u0631\u062d\u0628\u0627",
    "e" + "\u0301" * 700,
    "\u200d",
    "parcel\x00\x07\x1b[0m",
]


@pytest.fixture(scope="module")
def pipeline_of(full_zoo: TinyZoo) -> Callable[[str], Any]:
    made: dict[str, Any] = {}

    def reference(name: str) -> Any:
        if name not in made:
            made[name] = pipeline("text-classification", model=str(full_zoo.checkpoints / name), device="cpu")
        return made[name]

    return reference


def assert_same(served: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    assert [item["label"] for item in served] == [item["label"] for item in expected]
    for one, other in zip(served, expected, strict=True):
        assert one["score"] == pytest.approx(other["score"], abs=1e-4)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("function", [None, "softmax", "sigmoid", "none"])
@pytest.mark.parametrize("top_k", [None, 1, 2, 50])
def test_a_list_is_answered_as_by_the_pipeline(
    predictor_of: Predictors, pipeline_of: Callable[[str], Any], model: str, function: str | None, top_k: int | None
) -> None:
    chosen = {} if function is None else {"function_to_apply": function}
    limited = {} if top_k is None else {"top_k": top_k}
    body: Any = predictor_of(model).predict(TEXTS, {**chosen, **limited}).body
    expected = pipeline_of(model)(TEXTS, top_k=top_k, truncation=True, max_length=48, **chosen)
    assert len(body) == len(expected) == 5
    for served, other in zip(body, expected, strict=True):
        assert len(served) == min(top_k or 3, 3)
        assert_same(served, other)


@pytest.mark.parametrize("model", MODELS)
def test_a_single_text_is_answered_by_a_list_of_one_answer(
    predictor_of: Predictors, pipeline_of: Callable[[str], Any], model: str
) -> None:
    body: Any = predictor_of(model).predict("my parcel was late", {"top_k": 2}).body
    assert [len(item) for item in body] == [2]
    (expected,) = pipeline_of(model)(["my parcel was late"], top_k=2)
    assert_same(body[0], expected)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("text", ODD, ids=["emoji", "rtl", "combining", "zwj", "control"])
def test_unusual_characters_are_answered_with_valid_json(
    predictor_of: Predictors, pipeline_of: Callable[[str], Any], model: str, text: str
) -> None:
    body: Any = predictor_of(model).predict(text).body
    assert json.loads(json.dumps(body, allow_nan=False)) == body
    (expected,) = pipeline_of(model)([text], top_k=None, truncation=True, max_length=48)
    assert_same(body[0], expected)


def test_scores_are_plain_numbers_that_add_up_to_one(predictor_of: Predictors) -> None:
    body: Any = predictor_of("mood").predict("parcel").body
    assert {type(item["score"]) for item in body[0]} == {float}
    assert math.isclose(sum(item["score"] for item in body[0]), 1.0, abs_tol=1e-6)


def test_null_options_are_as_good_as_none(predictor_of: Predictors) -> None:
    plain = predictor_of("mood").predict("parcel").body
    assert predictor_of("mood").predict("parcel", {"top_k": None, "function_to_apply": None}).body == plain


def test_a_model_of_independent_labels_is_served_with_a_sigmoid(full_zoo: TinyZoo, predictor_of: Predictors) -> None:
    entry = full_zoo.store.entry("mood", 1)
    independent = entry.model_copy(update={"options": {**entry.options, "function_to_apply": "sigmoid"}})
    predictor = Predictor(independent, full_zoo.store.folder("mood", 1), threads=1)
    expected = predictor_of("mood").predict("parcel", {"function_to_apply": "sigmoid"}).body
    assert predictor.predict("parcel").body == expected
    assert (
        predictor.predict("parcel", {"function_to_apply": "softmax"}).body
        == predictor_of("mood").predict("parcel").body
    )


@pytest.mark.parametrize(
    ("parameters", "param"),
    [
        ({"top_k": 0}, "parameters.top_k"),
        ({"top_k": -1}, "parameters.top_k"),
        ({"top_k": 1.5}, "parameters.top_k"),
        ({"top_k": "many"}, "parameters.top_k"),
        ({"top_k": [1]}, "parameters.top_k"),
        ({"top_k": "9" * 5_000_000}, "parameters.top_k"),
        ({"top_k": "x" * 5_000_000}, "parameters.top_k"),
        ({"function_to_apply": "tanh"}, "parameters.function_to_apply"),
        ({"function_to_apply": "x" * 5_000_000}, "parameters.function_to_apply"),
    ],
    ids=["zero", "negative", "fraction", "word", "list", "5-MB-number", "5-MB-word", "function", "5-MB-function"],
)
def test_a_bad_option_is_named_in_a_short_message(
    predictor_of: Predictors, parameters: dict[str, object], param: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        predictor_of("mood").predict("parcel", parameters)
    assert caught.value.param == param
    assert len(caught.value.message) < 200
