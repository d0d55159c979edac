"""zero-shot-classification answers what transformers' own pipeline answers."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from adapters.training.recipes import zero_shot_classification as recipe
from tests.tiny_language import KINDS, NLI, write_classifier
from tests.zoo.tasks.language_zoo import LanguageZoo
from zoo.engine.predictor import Predictor
from zoo.engine.session import Session
from zoo.errors import InvalidInput, TooLarge, Unsupported

TEXTS = ["my parcel was late", "Refund my card!", "why is the price not the price " * 9]
CANDIDATES = ["delivery", "payment", "password 12,5"]
OPTIONS: list[dict[str, Any]] = [
    {},
    {"multi_label": True},
    {"hypothesis_template": "{} is my order", "multi_label": False},
    {"hypothesis_template": "why is it {}?", "multi_label": True},
]


def chooser(languages: LanguageZoo, kind: str) -> Predictor:
    """Imported as the classifier that it is: it answers both tasks."""
    return languages.model(f"nli-{kind}", partial(write_classifier, kind=kind))


def by_transformers(languages: LanguageZoo, name: str, text: str, labels: Any, options: dict[str, Any]) -> Any:
    return languages.reference("zero-shot-classification", name)(text, candidate_labels=labels, **options)


def assert_same(served: Any, expected: Any) -> None:
    assert [item["label"] for item in served] == expected["labels"]
    assert [item["score"] for item in served] == pytest.approx(expected["scores"], abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_labels_are_rated_as_by_the_pipeline(languages: LanguageZoo, kind: str) -> None:
    predictor = chooser(languages, kind)
    for options in OPTIONS:
        body: Any = predictor.predict(TEXTS, {"candidate_labels": CANDIDATES, **options}).body
        assert len(body) == len(TEXTS)
        for text, served in zip(TEXTS, body, strict=True):
            assert_same(served, by_transformers(languages, f"nli-{kind}", text, CANDIDATES, options))


@pytest.mark.parametrize("labels", [["delivery"], "delivery, payment"], ids=["one", "commas"])
def test_odd_sets_of_labels_are_rated_as_by_the_pipeline(languages: LanguageZoo, labels: Any) -> None:
    body: Any = chooser(languages, "distilbert").predict("my parcel", {"candidate_labels": labels}).body
    assert_same(body, by_transformers(languages, "nli-distilbert", "my parcel", labels, {}))


@pytest.mark.parametrize("labels", [NLI, ("entailment", "not_entailment"), ("no", "yes", "ENTAILS")])
def test_entailment_is_found_by_its_name(languages: LanguageZoo, labels: tuple[str, ...]) -> None:
    name = "-".join(labels).lower().replace("_", "-")
    predictor = languages.model(
        name, partial(write_classifier, kind="distilbert", labels=labels), task="zero-shot-classification"
    )
    assert predictor.entry.task == "zero-shot-classification"
    for multi in (False, True):
        options = {"multi_label": multi}
        body: Any = predictor.predict("my parcel", {"candidate_labels": CANDIDATES, **options}).body
        assert_same(body, by_transformers(languages, name, "my parcel", CANDIDATES, options))


def test_such_a_model_answers_pairs_as_the_classifier_that_it_is(languages: LanguageZoo) -> None:
    name = "-".join(NLI)
    predictor = languages.model(
        name, partial(write_classifier, kind="distilbert", labels=NLI), task="zero-shot-classification"
    )
    pair = {"text": "my parcel is late", "text_pair": "the courier is late"}
    body: Any = predictor.predict(pair).body
    assert {one["label"] for one in body[0]} == set(NLI)


def test_hypotheses_of_all_texts_share_runs(languages: LanguageZoo, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor, runs, whole = chooser(languages, "distilbert"), [], Session.run

    def counted(session: Session, feeds: Any, outputs: Any = None) -> Any:
        runs.append(len(feeds["input_ids"]))
        return whole(session, feeds, outputs)

    monkeypatch.setattr(Session, "run", counted)
    predictor.predict(["late", "lost", "wet"], {"candidate_labels": ["a", "b", "c", "d"]})
    assert runs == [12]


def test_a_bad_text_fails_alone(languages: LanguageZoo) -> None:
    prediction = chooser(languages, "distilbert").predict(["late", "", "lost"], {"candidate_labels": ["a", "b"]})
    body: Any = prediction.body
    assert (prediction.failed, body[1]["code"]) == (1, "invalid_text")
    assert len(body[0]) == len(body[2]) == 2


def test_a_text_is_cut_and_the_hypothesis_is_not(languages: LanguageZoo) -> None:
    predictor = chooser(languages, "distilbert")
    assert predictor.predict("late " * 99, {"candidate_labels": ["a"]}).truncated == 1
    with pytest.raises(TooLarge) as caught:
        predictor.predict("late", {"candidate_labels": ["late " * 60]})
    assert (caught.value.code, caught.value.param) == ("input_too_long", "parameters.candidate_labels")


def test_few_labels_of_a_short_text_are_light_and_many_are_not(languages: LanguageZoo) -> None:
    predictor = chooser(languages, "distilbert")
    assert predictor.light("my parcel was late", {"candidate_labels": ["delivery", "payment"]})
    assert predictor.light("my parcel was late", {"candidate_labels": "delivery, payment"})
    assert not predictor.light("my parcel was late", {"candidate_labels": [f"label {number}" for number in range(256)]})
    assert not predictor.light("my parcel was late", {"candidate_labels": ["a", "b" * 2000]})
    assert predictor.light("my parcel was late", {"candidate_labels": 3})


@pytest.mark.parametrize(
    ("parameters", "param"),
    [
        ({"candidate_labels": []}, "parameters.candidate_labels"),
        ({"candidate_labels": ""}, "parameters.candidate_labels"),
        ({"candidate_labels": None}, "parameters.candidate_labels"),
        ({"candidate_labels": ["a", " "]}, "parameters.candidate_labels.1"),
        ({"candidate_labels": ["a", 3]}, "parameters.candidate_labels.1"),
        ({"candidate_labels": ["a"] * 257}, "parameters.candidate_labels"),
        ({"candidate_labels": ["a"], "hypothesis_template": "no place"}, "parameters.hypothesis_template"),
        ({"candidate_labels": ["a"], "hypothesis_template": "{} or {}"}, "parameters.hypothesis_template"),
        ({"candidate_labels": ["a"], "hypothesis_template": "{0.__class__}"}, "parameters.hypothesis_template"),
        ({"candidate_labels": ["a"], "top_k": 3}, "parameters.top_k"),
    ],
    ids=["none", "empty", "null", "blank", "number", "many", "no-place", "two-places", "attribute", "unknown"],
)
def test_a_bad_option_is_named(languages: LanguageZoo, parameters: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        chooser(languages, "distilbert").predict("late", parameters)
    assert caught.value.param == param


def test_without_labels_a_model_of_the_task_says_what_is_missing(languages: LanguageZoo) -> None:
    name = "-".join(NLI)
    predictor = languages.model(
        name, partial(write_classifier, kind="distilbert", labels=NLI), task="zero-shot-classification"
    )
    with pytest.raises(InvalidInput) as caught:
        predictor.predict("late")
    assert (caught.value.code, caught.value.param) == ("labels_missing", "parameters.candidate_labels")


def test_a_classifier_of_other_things_is_refused(tmp_path: Path) -> None:
    folder = write_classifier(tmp_path, "distilbert", ("bad", "good"))
    with pytest.raises(Unsupported, match="entail"):
        recipe.load(folder)
