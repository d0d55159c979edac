"""feature-extraction answers what transformers' pipeline gives, pooled and normalised."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, pipeline

from tests.conftest import TinyZoo
from zoo.engine.predictor import Predictor
from zoo.errors import InvalidInput, TooLarge

Predictors = Callable[[str], Predictor]
MODELS = ("mini", "mini-distil")
TEXTS = ["my parcel was late", "Refund my card!", "why is the price not the price " * 9, "p", "password 12,5 \u00e9"]


def by_torch(zoo: TinyZoo, model: str, text: str, *, pooling: str = "mean", side: str = "right") -> torch.Tensor:
    """The vector that the pipeline's states of the text are pooled to."""
    folder = zoo.checkpoints / model
    tokenizer: Any = AutoTokenizer.from_pretrained(folder, truncation_side=side)
    reader: Any = pipeline("feature-extraction", model=str(folder), tokenizer=tokenizer, device="cpu")
    (states,) = reader(text, tokenize_kwargs={"truncation": True, "max_length": 48})
    hidden = torch.tensor(states)
    return {"mean": hidden.mean(dim=0), "cls": hidden[0], "max": hidden.max(dim=0).values}[pooling]


@pytest.mark.parametrize("model", MODELS)
def test_vectors_are_those_of_transformers_with_length_one(
    full_zoo: TinyZoo, predictor_of: Predictors, model: str
) -> None:
    body = np.array(predictor_of(model).predict(TEXTS).body)
    assert body.shape == (5, 32)
    expected = torch.stack([torch.nn.functional.normalize(by_torch(full_zoo, model, text), dim=0) for text in TEXTS])
    np.testing.assert_allclose(body, expected.numpy(), atol=1e-4)


@pytest.mark.parametrize("model", MODELS)
def test_normalize_false_gives_the_vector_as_it_is(full_zoo: TinyZoo, predictor_of: Predictors, model: str) -> None:
    body = np.array(predictor_of(model).predict(TEXTS[0], {"normalize": False}).body)
    assert body.shape == (1, 32)
    np.testing.assert_allclose(body[0], by_torch(full_zoo, model, TEXTS[0]).numpy(), atol=1e-4)


@pytest.mark.parametrize("pooling", ["cls", "max", "mean"])
def test_the_manifest_says_how_to_pool_and_whether_to_normalise(full_zoo: TinyZoo, pooling: str) -> None:
    entry = full_zoo.store.entry("mini", 1)
    other = entry.model_copy(update={"options": {"pooling": pooling, "normalise": False, "pad_token_id": 0}})
    predictor = Predictor(other, full_zoo.store.folder("mini", 1), threads=1)
    body = np.array(predictor.predict(TEXTS[:2]).body)
    expected = torch.stack([by_torch(full_zoo, "mini", text, pooling=pooling) for text in TEXTS[:2]])
    np.testing.assert_allclose(body, expected.numpy(), atol=1e-4)
    lengths = np.linalg.norm(np.array(predictor.predict(TEXTS[:2], {"normalize": True}).body), axis=1)
    np.testing.assert_allclose(lengths, [1.0, 1.0], atol=1e-6)


@pytest.mark.parametrize("direction", ["left", "Left", "right", "Right"])
def test_a_long_text_is_cut_on_the_side_that_was_asked_for(
    full_zoo: TinyZoo, predictor_of: Predictors, direction: str
) -> None:
    text = "invoice card " * 30 + "parcel courier late"
    prediction = predictor_of("mini").predict(text, {"truncation_direction": direction, "normalize": False})
    expected = by_torch(full_zoo, "mini", text, side=direction.lower())
    np.testing.assert_allclose(np.array(prediction.body)[0], expected.numpy(), atol=1e-4)
    assert prediction.truncated == 1


def test_a_long_text_is_refused_where_it_must_not_be_cut(predictor_of: Predictors) -> None:
    with pytest.raises(TooLarge) as caught:
        predictor_of("mini").predict("late " * 60, {"truncate": False})
    assert caught.value.code == "input_too_long"
    body: Any = predictor_of("mini").predict(["late", "late " * 60], {"truncate": False}).body
    assert len(body[0]) == 32
    assert body[1]["code"] == "input_too_long"


@pytest.mark.parametrize(
    ("parameters", "param"),
    [
        ({"dimensions": 16}, "parameters.dimensions"),
        ({"dimensions": 64}, "parameters.dimensions"),
        ({"dimensions": 0}, "parameters.dimensions"),
        ({"dimensions": "x" * 5_000_000}, "parameters.dimensions"),
        ({"prompt_name": "query"}, "parameters.prompt_name"),
        ({"truncation_direction": "middle"}, "parameters.truncation_direction"),
        ({"encoding_format": "base64"}, "parameters.encoding_format"),
        ({"normalize": "perhaps"}, "parameters.normalize"),
    ],
    ids=["fewer", "more", "zero", "5-MB", "prompt", "direction", "encoding", "normalize"],
)
def test_what_the_model_cannot_do_is_refused(
    predictor_of: Predictors, parameters: dict[str, object], param: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        predictor_of("mini").predict("parcel", parameters)
    assert caught.value.param == param
    assert len(caught.value.message) < 200


@pytest.mark.parametrize(
    ("options", "asked", "read"),
    [
        ({"prompts": {"query": "refund the "}}, {}, "My Card"),
        ({"prompts": {"query": "refund the "}}, {"prompt_name": "query"}, "refund the My Card"),
        ({"prompts": {"query": "refund the ", "document": ""}, "default_prompt": "query"}, {}, "refund the My Card"),
        ({"prompts": {"q": "refund ", "d": ""}, "default_prompt": "q"}, {"prompt_name": "d"}, "My Card"),
        ({"prompts": {"q": "Refund "}, "lower_case": True}, {"prompt_name": "q"}, "refund my card"),
    ],
)
def test_a_text_is_read_behind_its_prompt(
    full_zoo: TinyZoo, predictor_of: Predictors, options: dict[str, Any], asked: dict[str, Any], read: str
) -> None:
    entry = full_zoo.store.entry("mini", 1)
    other = entry.model_copy(update={"options": {**entry.options, **options}})
    predictor = Predictor(other, full_zoo.store.folder("mini", 1), threads=1)
    body: Any = predictor.predict("My Card", asked).body
    np.testing.assert_allclose(np.array(body), np.array(predictor_of("mini").predict(read).body), atol=1e-6)
    with pytest.raises(InvalidInput, match=", ".join(options["prompts"])):
        predictor.predict("My Card", {"prompt_name": "passage"})


def test_an_empty_text_is_refused_also_behind_a_prompt(full_zoo: TinyZoo) -> None:
    entry = full_zoo.store.entry("mini", 1)
    options = {**entry.options, "prompts": {"query": "refund "}, "default_prompt": "query"}
    predictor = Predictor(entry.model_copy(update={"options": options}), full_zoo.store.folder("mini", 1), threads=1)
    with pytest.raises(InvalidInput) as caught:
        predictor.predict(" ")
    assert caught.value.code == "invalid_text"


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_text_of_any_length_is_cut_where_that_is_asked_for(predictor_of: Predictors, side: str) -> None:
    predictor, asked = predictor_of("mini"), {"truncate": True, "truncation_direction": side}
    text = "refund " * 60 + "late " * 100_000 + "courier " * 60
    found = predictor.predict(text, asked)
    assert found.truncated == 1
    assert found.body == predictor.predict(("courier " if side == "left" else "refund ") * 60, asked).body
    with pytest.raises(TooLarge):
        predictor.predict(text, {"truncation_direction": side})


def test_the_models_own_width_and_null_options_change_nothing(predictor_of: Predictors) -> None:
    nothing = {"dimensions": 32, "prompt_name": None, "truncate": None, "normalize": None, "encoding_format": "float"}
    assert predictor_of("mini").predict("parcel", nothing).body == predictor_of("mini").predict("parcel").body


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    "text",
    ["\U0001f469\u200d\U0001f467", "\u05e9\u05dc\u05d5\u05dd", "e" + "\u0301" * 700, "\u200d", "a\x00\x07"],
    ids=["emoji", "rtl", "combining", "zwj", "control"],
)
def test_unusual_characters_are_answered_with_valid_json(
    full_zoo: TinyZoo, predictor_of: Predictors, model: str, text: str
) -> None:
    body: Any = predictor_of(model).predict(text, {"normalize": False}).body
    assert json.loads(json.dumps(body, allow_nan=False)) == body
    np.testing.assert_allclose(body[0], by_torch(full_zoo, model, text).numpy(), atol=1e-4)


def test_embedding_gives_the_vectors_of_predict_as_float32(predictor_of: Predictors) -> None:
    prediction = predictor_of("mini").embed(TEXTS)
    vectors: Any = prediction.body
    assert {vector.dtype.name for vector in vectors} == {"float32"}
    np.testing.assert_allclose(vectors, np.array(predictor_of("mini").predict(TEXTS).body), atol=1e-6)
    assert (prediction.items, prediction.truncated) == (5, 1)
    assert prediction.tokens == sum(predictor_of("mini").predict(text).tokens for text in TEXTS)
