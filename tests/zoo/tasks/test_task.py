"""What every task does alike, and how tasks are found by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import TinyZoo
from zoo.engine.predictor import Predictor
from zoo.errors import InvalidInput, TooLarge, Unsupported
from zoo.tasks.task import is_task, load_task, task_module, task_names

Predictors = Callable[[str], Predictor]
MODELS = ("mini", "mini-distil", "mood", "mood-bert")
TEXTS = ["my parcel was late", "refund", "why is the card not charged again " * 8, "password, please!", "a b c d e f"]


@pytest.mark.parametrize("name", ["text-classification", "feature-extraction"])
def test_a_task_of_this_release_is_found_by_its_name(name: str) -> None:
    assert is_task(name)
    assert hasattr(task_module(name), "Task")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "task",
        "ops",
        "processors",
        "table-question-answering",
        "text_classification",
        "../engine/loader",
        "x\x00",
        "__init__",
    ],
)
def test_any_other_name_is_no_task(name: str) -> None:
    assert not is_task(name)
    with pytest.raises(Unsupported) as caught:
        task_module(name)
    assert (caught.value.code, caught.value.param) == ("unsupported_task", "task")


def test_a_version_of_a_task_to_come_is_refused_by_name(tiny_zoo: TinyZoo) -> None:
    entry = tiny_zoo.store.entry("mood", 1).model_copy(update={"task": "table-question-answering"})
    with pytest.raises(Unsupported, match="table-question-answering"):
        load_task(entry, tiny_zoo.store.folder("mood", 1))


def test_a_huge_task_name_is_not_repeated_in_full() -> None:
    with pytest.raises(Unsupported) as caught:
        task_module("x" * 100_000)
    assert len(caught.value.message) < 200


@pytest.mark.parametrize("model", MODELS)
def test_an_unknown_option_is_refused_with_those_that_exist(predictor_of: Predictors, model: str) -> None:
    with pytest.raises(InvalidInput, match=r"parameters\.temperature is not an option of .*; it has: ") as caught:
        predictor_of(model).predict("parcel", {"temperature": 1})
    assert (caught.value.code, caught.value.param) == ("unknown_field", "parameters.temperature")


@pytest.mark.parametrize("model", MODELS)
def test_an_option_with_a_huge_name_gets_a_short_message(predictor_of: Predictors, model: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        predictor_of(model).predict("parcel", {"x" * 5_000_000: 1})
    assert caught.value.code == "unknown_field"
    assert len(caught.value.message) < 500


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("many", [False, True])
def test_an_answer_has_one_place_for_each_text(predictor_of: Predictors, model: str, many: bool) -> None:
    body: Any = predictor_of(model).predict(TEXTS if many else TEXTS[0]).body
    assert len(body) == (len(TEXTS) if many else 1)


@pytest.mark.parametrize("model", MODELS)
def test_a_text_is_answered_the_same_alone_and_among_others(predictor_of: Predictors, model: str) -> None:
    together = predictor_of(model).rows(TEXTS)
    for text, row in zip(TEXTS, together, strict=True):
        (alone,) = predictor_of(model).rows([text])
        assert abs(alone - row).max() <= 1e-5  # type: ignore[operator]


@pytest.mark.parametrize("model", MODELS)
def test_bad_items_are_answered_in_their_place_and_harm_no_other(predictor_of: Predictors, model: str) -> None:
    sound: Any = predictor_of(model).predict(["parcel", "refund"]).body
    inputs = ["parcel", 5, "", "a" * 1_000_000, None, ["refund"], "half \ud800", "refund"]
    prediction = predictor_of(model).predict(inputs)
    body: Any = prediction.body
    assert [item["code"] for item in body[1:7]] == [
        "invalid_request",
        "invalid_text",
        "input_too_long",
        "invalid_request",
        "invalid_request",
        "invalid_text",
    ]
    assert all(set(item) == {"error", "code"} and 0 < len(item["error"]) < 200 for item in body[1:7])
    assert (prediction.items, prediction.failed) == (8, 6)
    kept = predictor_of(model).predict(["parcel", "refund"])
    assert kept.body == sound
    assert [str(item)[:12] for item in (body[0], body[7])] == [str(item)[:12] for item in sound]


@pytest.mark.parametrize("model", MODELS)
def test_truncated_texts_are_counted(predictor_of: Predictors, model: str) -> None:
    prediction = predictor_of(model).predict(["parcel", "late " * 100, "my " * 46, "my " * 47])
    assert prediction.truncated == 2
    assert prediction.tokens == 3 + 48 + 48 + 48


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    "inputs",
    ["a" * 1_000_000, "a" * 10_000_000, ["a" * 1_000_000], "e" + "\u0301" * 100_000],
    ids=["1-MB", "10-MB", "list", "marks"],
)
def test_a_text_beyond_all_bounds_is_refused(predictor_of: Predictors, model: str, inputs: object) -> None:
    with pytest.raises(TooLarge, match="at most 768") as caught:
        predictor_of(model).predict(inputs)
    assert caught.value.code == "input_too_long"


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("inputs", [{"words": "parcel"}, 5, None, [["parcel"]], [5, None]])
def test_inputs_without_a_single_text_are_refused(predictor_of: Predictors, model: str, inputs: object) -> None:
    with pytest.raises(InvalidInput, match="string") as caught:
        predictor_of(model).predict(inputs)
    assert caught.value.code == "invalid_request"


def test_the_tasks_of_this_release_are_listed_by_name() -> None:
    assert {"feature-extraction", "text-classification"} <= set(task_names())
    assert not {"task", "ops", "--init--", "processors"} & set(task_names())
