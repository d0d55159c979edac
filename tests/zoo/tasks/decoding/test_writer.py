"""Texts are searched for as transformers' generate does it, token by token, whatever shares the batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.torch_texts import KINDS, TorchTexts
from zoo.errors import InvalidInput
from zoo.tasks.decoding.text_to_text import TextToTextParameters

TEXTS = ["the cat sees a big dog", "he likes a red house, and she not!", "big"]
SEARCHES: dict[str, dict[str, Any]] = {
    "greedy": {"num_beams": 1},
    "beams": {"num_beams": 4},
    "many beams": {"num_beams": 16},
    "long ones": {"num_beams": 3, "length_penalty": 2.0},
    "short ones": {"num_beams": 3, "length_penalty": -1.0},
    "early": {"num_beams": 3, "early_stopping": True},
    "never early": {"num_beams": 3, "early_stopping": "never"},
    "no phrase twice": {"num_beams": 1, "no_repeat_ngram_size": 2},
    "no phrase twice in beams": {"num_beams": 3, "no_repeat_ngram_size": 2},
    "no token twice": {"num_beams": 2, "no_repeat_ngram_size": 1},
    "less repetition": {"num_beams": 1, "repetition_penalty": 1.7},
    "less repetition in beams": {"num_beams": 3, "repetition_penalty": 1.7},
    "at least": {"num_beams": 3, "min_length": 9},
    "at least new": {"num_beams": 1, "min_new_tokens": 9},
    "at most": {"num_beams": 3, "max_length": 6},
    "at most new": {"num_beams": 1, "max_new_tokens": 3},
    "one token": {"num_beams": 2, "max_new_tokens": 1},
    "bad words": {"num_beams": 3, "bad_words_ids": [[20], [31], [13, 13], [65, 65, 46]]},
    "forced": {"num_beams": 3, "forced_bos_token_id": 21, "forced_eos_token_id": 22, "max_length": 8},
    "suppressed": {"num_beams": 3, "suppress_tokens": [25, 31], "begin_suppress_tokens": [46, 28]},
    "suppressed behind forced": {"num_beams": 1, "forced_bos_token_id": 21, "begin_suppress_tokens": [46, 28]},
    "renormalised": {"num_beams": 3, "renormalize_logits": True, "suppress_tokens": [25, 31, 46]},
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TorchTexts]:
    folder = tmp_path_factory.mktemp("texts")
    return {kind: TorchTexts.read(write(folder / kind)) for kind, write in KINDS.items()}


@pytest.mark.parametrize("search", SEARCHES.values(), ids=SEARCHES)
def test_a_search_writes_what_generate_writes(models: dict[str, TorchTexts], search: dict[str, Any]) -> None:
    assert_equal(models["marian"], search)


@pytest.mark.parametrize("kind", ["bart", "m2m_100", "t5"])
@pytest.mark.parametrize("search", ["greedy", "beams", "no phrase twice in beams"])
def test_so_it_does_for_other_architectures(models: dict[str, TorchTexts], kind: str, search: str) -> None:
    assert_equal(models[kind], SEARCHES[search])


def assert_equal(model: TorchTexts, search: dict[str, Any]) -> None:
    wish = model.wish(search)
    readings = [model.served.read(text, wish) for text in TEXTS]
    assert model.written(readings) == [model.expected(reading) for reading in readings]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_compared_tells_searches_and_texts_apart(models: dict[str, TorchTexts], kind: str) -> None:
    model, found = models[kind], dict[str, list[tuple[int, ...]]]()
    for name in ("greedy", "beams", "short ones", "no phrase twice", "at least"):
        wish = model.wish(SEARCHES[name])
        found[name] = model.written([model.served.read(text, wish) for text in TEXTS])
    assert len({tuple(texts) for texts in found.values()}) >= 3
    assert len(set(found["beams"])) >= 2


def test_texts_of_different_wishes_are_each_answered_with_their_own(models: dict[str, TorchTexts]) -> None:
    model = models["marian"]
    readings = [
        model.served.read(text, model.wish(search))
        for text in TEXTS[:3]
        for search in ({"num_beams": 1}, {"num_beams": 3}, {"num_beams": 3, "max_length": 5})
    ]
    assert model.written(readings) == [model.expected(reading) for reading in readings]


def test_a_text_is_never_longer_than_the_model_can_write(models: dict[str, TorchTexts]) -> None:
    for kind in ("marian", "bart", "m2m_100"):
        model = models[kind]
        wish = model.wish({"num_beams": 1, "max_length": 10_000, "min_length": 10_000})
        (tokens,) = model.written([model.served.read("big", wish)])
        assert len(tokens) <= 39


def test_without_a_length_a_text_may_be_as_long_as_the_model_can_write(tmp_path: Path) -> None:
    model = TorchTexts.read(KINDS["marian"](tmp_path, max_length=None))
    (tokens,) = model.written([model.served.read("big", model.wish({"min_length": 1000}))])
    assert len(tokens) == 38  # and the end, which is forced


@pytest.mark.parametrize(
    ("kind", "pair", "known"),
    [
        ("marian", {"source": "zz", "target": "deu"}, "translates from en and from nothing else: leave src_lang out"),
        ("bart", {"source": "en"}, "knows no languages by name: leave src_lang out"),
        ("bart", {"target": "de"}, "knows no languages by name: leave tgt_lang out"),
    ],
    ids=["marian", "from", "to"],
)
def test_a_language_that_a_model_cannot_heed_is_refused(
    tmp_path: Path, kind: str, pair: dict[str, str], known: str
) -> None:
    codes = {"codes": ("deu", "fra")} if kind == "marian" else {}
    model = TorchTexts.read(KINDS[kind](tmp_path / kind, **codes))
    with pytest.raises(InvalidInput, match=known) as caught:
        model.served.wish(TextToTextParameters(), **pair)
    assert caught.value.param == ("parameters.src_lang" if "source" in pair else "parameters.tgt_lang")


def test_a_marian_of_several_languages_heeds_its_own_and_those_that_it_writes(tmp_path: Path) -> None:
    model = TorchTexts.read(KINDS["marian"](tmp_path / "marian", codes=("deu", "fra")))
    german, french = (model.wish(source="en", target=code).before for code in ("deu", "fra"))
    assert german == model.wish(target="deu").before != french
