"""text-classification of every architecture, of one text and of two, answers what transformers' pipeline answers."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from tests.tiny_language import KINDS, write_classifier
from tests.zoo.tasks.language_zoo import LanguageZoo
from zoo.engine.predictor import Predictor
from zoo.errors import InvalidInput, TooLarge

TEXTS = ["my parcel was late", "Refund my card!", "why is the price not the price " * 9, "12,5 Zürich"]
PAIRS = [
    {"text": "my parcel was late", "text_pair": "the courier lost the parcel"},
    {"text": "why is the price not the price " * 9, "text_pair": "refund my card"},
    {"text": "help", "text_pair": "my login is locked again today " * 9},
    {"text": "login " * 60, "text_pair": "locked " * 60},
    {"text": "alone"},
]


def sorter(languages: LanguageZoo, kind: str) -> Predictor:
    return languages.model(f"nli-{kind}", partial(write_classifier, kind=kind))


def by_transformers(languages: LanguageZoo, name: str, inputs: Any, **options: Any) -> Any:
    return languages.reference("text-classification", name)(inputs, truncation=True, max_length=48, **options)


def assert_same(served: Any, expected: Any) -> None:
    assert [item["label"] for item in served] == [item["label"] for item in expected]
    assert [item["score"] for item in served] == pytest.approx([item["score"] for item in expected], abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_texts_and_pairs_are_answered_as_by_the_pipeline(languages: LanguageZoo, kind: str) -> None:
    inputs = [*TEXTS, *PAIRS]
    body: Any = sorter(languages, kind).predict(inputs).body
    expected = [by_transformers(languages, f"nli-{kind}", one, top_k=None) for one in inputs]
    assert len(body) == len(expected)
    for served, other in zip(body, expected, strict=True):
        assert_same(served, other)


def test_a_single_pair_is_answered_by_a_list_of_one(languages: LanguageZoo) -> None:
    body: Any = sorter(languages, "distilbert").predict(PAIRS[0], {"top_k": 2}).body
    assert [len(answer) for answer in body] == [2]


def test_a_pair_that_was_cut_is_counted(languages: LanguageZoo) -> None:
    assert sorter(languages, "distilbert").predict(PAIRS).truncated == 3


@pytest.mark.parametrize(
    ("item", "code", "param"),
    [
        ({"text_pair": "late"}, "invalid_request", "inputs"),
        ({"text": "late", "pair": "lost"}, "invalid_request", "inputs"),
        ({"text": "late", "text_pair": ""}, "invalid_text", "inputs.text_pair"),
        ({"text": "late", "text_pair": ["lost"]}, "invalid_request", "inputs.text_pair"),
        ({"text": 3, "text_pair": "lost"}, "invalid_request", "inputs.text"),
    ],
    ids=["no-text", "unknown-key", "empty", "list", "number"],
)
def test_a_pair_that_is_none_is_refused_by_its_part(
    languages: LanguageZoo, item: object, code: str, param: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        sorter(languages, "distilbert").predict(item)
    assert (caught.value.code, caught.value.param) == (code, param)


def test_a_second_text_that_is_far_too_long_is_refused(languages: LanguageZoo) -> None:
    with pytest.raises(TooLarge) as caught:
        sorter(languages, "distilbert").predict({"text": "late", "text_pair": "x" * 10_000})
    assert caught.value.param == "inputs.text_pair"


@pytest.mark.parametrize("top_k", [None, 1, 2])
@pytest.mark.parametrize("function", [None, "softmax", "sigmoid", "none"])
@pytest.mark.parametrize(
    ("name", "labels", "problem"),
    [
        ("several", ("late", "lost", "broken"), "multi_label_classification"),
        ("scored", ("score",), "regression"),
        ("single", ("spam",), None),
    ],
)
def test_several_labels_and_scores_are_answered_as_by_the_pipeline(
    languages: LanguageZoo,
    name: str,
    labels: tuple[str, ...],
    problem: str | None,
    function: str | None,
    top_k: int | None,
) -> None:
    write = partial(write_classifier, kind="distilbert", labels=labels, problem_type=problem)
    chosen = {} if function is None else {"function_to_apply": function}
    limited = {} if top_k is None else {"top_k": top_k}
    body: Any = languages.model(name, write).predict(TEXTS, {**chosen, **limited}).body
    expected = by_transformers(languages, name, TEXTS, top_k=top_k, **chosen)
    for served, other in zip(body, expected, strict=True):
        assert_same(served, other)
