"""fill-mask answers what transformers' own pipeline answers."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from adapters.training.checkpoint import infer_task
from adapters.training.recipes import fill_mask as recipe
from tests.tiny_language import write_classifier, write_filler
from tests.zoo.tasks.language_zoo import LanguageZoo
from zoo.engine.predictor import Predictor
from zoo.errors import InvalidInput, TooLarge, Unsupported

KINDS = ("bert", "distilbert", "roberta", "mpnet")
ONE = ["my parcel was MASK today", "MASK", "why, is the price MASK?", "Zürich 12,5 MASK password not"]
SEVERAL = "my MASK was MASK again, MASK."


def filler(languages: LanguageZoo, kind: str) -> Predictor:
    return languages.model(f"filler-{kind}", partial(write_filler, kind=kind))


def masked(kind: str, text: str) -> str:
    return text.replace("MASK", "<mask>" if kind in ("roberta", "mpnet") else "[MASK]")


def reference(languages: LanguageZoo, kind: str) -> Any:
    return languages.reference("fill-mask", f"filler-{kind}")


def by_gap(answer: Any) -> Any:
    """A list of words for each gap."""
    return answer if isinstance(answer[0], list) else [answer]


def assert_same(served: Any, expected: Any) -> None:
    assert [item["score"] for item in served] == pytest.approx([item["score"] for item in expected], abs=1e-4)
    for name in ("token", "token_str", "sequence"):
        assert [item[name] for item in served] == [item[name] for item in expected]


@pytest.mark.parametrize("kind", KINDS)
def test_one_gap_is_filled_as_by_the_pipeline(languages: LanguageZoo, kind: str) -> None:
    predictor, texts = filler(languages, kind), [masked(kind, text) for text in ONE]
    by_transformers = reference(languages, kind)
    for top_k in (None, 1, 30):
        limited = {} if top_k is None else {"top_k": top_k}
        body: Any = predictor.predict(texts, limited).body
        for text, served in zip(texts, body, strict=True):
            expected = by_transformers(text, **limited)
            assert len(served) == (top_k or 5)
            assert_same(served, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_several_gaps_are_each_filled_as_by_the_pipeline(languages: LanguageZoo, kind: str) -> None:
    text = masked(kind, SEVERAL)
    body: Any = filler(languages, kind).predict(text, {"top_k": 3}).body
    expected = reference(languages, kind)(text, top_k=3)
    assert len(body) == len(expected) == 3
    for served, other in zip(body, expected, strict=True):
        assert_same(served, other)


@pytest.mark.parametrize("kind", ["bert", "roberta"])
@pytest.mark.parametrize(
    "targets", [["late", "lost"], "late", ["late", "unheard-of"], ["late", "late"], ["parcel", " parcel"]]
)
def test_targets_are_rated_as_by_the_pipeline(languages: LanguageZoo, kind: str, targets: Any) -> None:
    for text in (masked(kind, ONE[0]), masked(kind, SEVERAL)):
        body: Any = filler(languages, kind).predict(text, {"targets": targets}).body
        expected = reference(languages, kind)(text, targets=targets)
        for served, other in zip(by_gap(body), by_gap(expected), strict=True):
            assert_same(served, other)


def test_texts_with_different_numbers_of_gaps_share_a_run(languages: LanguageZoo) -> None:
    predictor = filler(languages, "bert")
    texts = [masked("bert", text) for text in (ONE[0], SEVERAL, ONE[1])]
    together: Any = predictor.predict(texts).body
    for one, text in zip(together, texts, strict=True):
        alone: Any = predictor.predict(text).body
        for served, other in zip(by_gap(one), by_gap(alone), strict=True):
            assert_same(served, other)


def test_the_model_is_ready_when_it_is_warm(languages: LanguageZoo) -> None:
    predictor = filler(languages, "bert")
    predictor.warm()
    assert predictor.entry.options["mask_token"] == "[MASK]"


@pytest.mark.parametrize(
    ("text", "code"),
    [("no gap here", "mask_missing"), ("late " * 99 + "[MASK]", "mask_missing"), ("", "invalid_text")],
    ids=["none", "behind-the-cut", "empty"],
)
def test_a_text_without_a_gap_is_refused(languages: LanguageZoo, text: str, code: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        filler(languages, "bert").predict(text)
    assert (caught.value.code, caught.value.param) == (code, "inputs")
    assert code == "invalid_text" or "[MASK]" in caught.value.message


def test_more_gaps_than_are_filled_at_once_are_refused(languages: LanguageZoo) -> None:
    write = partial(write_filler, kind="bert", max_position_embeddings=130)

    def long(folder: Path) -> Path:
        write(folder)
        settings = json.loads((folder / "tokenizer_config.json").read_text()) | {"model_max_length": 128}
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
        return folder

    with pytest.raises(TooLarge, match="at most 64"):
        languages.model("filler-long", long).predict("[MASK] " * 65)


def test_more_words_for_all_gaps_than_are_written_at_once_are_refused(languages: LanguageZoo) -> None:
    predictor = filler(languages, "bert")
    with pytest.raises(TooLarge, match="Lower top_k to 833") as caught:
        predictor.predict("[MASK] " * 6, {"top_k": 834})
    assert (caught.value.code, caught.value.param) == ("input_too_long", "parameters.top_k")
    body: Any = predictor.predict("[MASK] " * 6, {"top_k": 834, "targets": ["late", "lost"]}).body
    assert [len(gap) for gap in body] == [2, 2, 2, 2, 2, 2]


def test_a_few_words_for_a_short_text_are_light_and_many_are_not(languages: LanguageZoo) -> None:
    predictor = filler(languages, "bert")
    assert predictor.light("it is [MASK]", {})
    assert predictor.light("it is [MASK]", {"top_k": 100})
    assert not predictor.light("it is [MASK]", {"top_k": 1000})
    assert not predictor.light("[MASK] " * 64, {})
    assert not predictor.light("it is [MASK]", {"targets": ["late"]})
    assert not predictor.light("it is [MASK]", {"top_k": "many"})


@pytest.mark.parametrize(
    ("parameters", "code", "param"),
    [
        ({"top_k": 0}, "invalid_request", "parameters.top_k"),
        ({"top_k": 1001}, "invalid_request", "parameters.top_k"),
        ({"targets": []}, "invalid_request", "parameters.targets"),
        ({"targets": [3]}, "invalid_request", "parameters.targets.0"),
        ({"targets": [""]}, "unknown_targets", "parameters.targets"),
        ({"top": 3}, "unknown_field", "parameters.top"),
    ],
    ids=["zero", "many", "none", "number", "nothing", "unknown"],
)
def test_a_bad_option_is_named(languages: LanguageZoo, parameters: dict[str, Any], code: str, param: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        filler(languages, "bert").predict("it is [MASK]", parameters)
    assert (caught.value.code, caught.value.param) == (code, param)


def test_more_words_than_there_are_cannot_be_asked_for(languages: LanguageZoo) -> None:
    body: Any = filler(languages, "bert").predict("it is [MASK]", {"top_k": 1000}).body
    scores = [word["score"] for word in body]
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) == pytest.approx(1.0, abs=1e-4)


def test_the_task_follows_from_the_checkpoint(tmp_path: Path) -> None:
    assert infer_task(write_filler(tmp_path, "distilbert")) == "fill-mask"


def test_a_network_without_such_a_head_is_refused(tmp_path: Path) -> None:
    folder = write_classifier(tmp_path, "distilbert")
    with pytest.raises(Unsupported, match="fills no masks"):
        recipe.load(folder)


def test_a_tokenizer_without_a_mask_is_refused(tmp_path: Path) -> None:
    folder = write_filler(tmp_path, "distilbert")
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    del settings["mask_token"]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    with pytest.raises(InvalidInput, match="mask_token"):
        recipe.load(folder)
