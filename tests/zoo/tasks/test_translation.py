"""translation answers what transformers' generate writes, and texts of any length."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import AutoModelForSeq2SeqLM

from tests.conftest import TinyZoo
from tests.imports import Imports
from tests.tiny_texts import DICTIONARY
from tests.zoo.tasks.text_models import import_texts
from zoo.catalogue.registry import Registry
from zoo.engine.loader import Loader
from zoo.engine.predictor import Predictor
from zoo.errors import InvalidInput, TooLarge
from zoo.tasks.decoding.writer import Writer

TEXTS = ["the cat sees a big dog", "he likes the red house, and she not!", "big", "today he sees a tree"]
LONG = ". ".join(["the cat sees a big dog", "she likes the red house and not the tree", "today he sees"] * 4)


@pytest.fixture(scope="module")
def texts(imports: Imports, tmp_path_factory: pytest.TempPathFactory) -> TinyZoo:
    return import_texts(imports, tmp_path_factory.mktemp("texts"), "deutsch")


@pytest.fixture(scope="module")
def translator(
    texts: TinyZoo, imports: Imports, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Predictor]:
    """Predictors by name, imported when they are first asked for."""
    made: dict[str, Predictor] = {}

    def predictor(name: str) -> Predictor:
        if name not in made:
            zoo = texts if name == "deutsch" else import_texts(imports, tmp_path_factory.mktemp(name), name)
            made[name] = Predictor(zoo.store.entry(name, 1), zoo.store.folder(name, 1), threads=1)
        return made[name]

    return predictor


def ids_of(texts: TinyZoo, text: str) -> list[int]:
    """Marian's ids of a text: whole words, or the space and letters; signs are letters too."""
    known = json.loads((texts.checkpoints / "deutsch" / "vocab.json").read_text())
    found: list[int] = []
    for word in text.split():
        stem = word.rstrip(".,!?'")
        pieces = ["▁" + stem] if stem in DICTIONARY else ["▁", *stem]
        found += [known[piece] for piece in (*pieces, *word[len(stem) :])]
    return [*found, 0]


def spoken(texts: TinyZoo, tokens: list[int]) -> str:
    known = json.loads((texts.checkpoints / "deutsch" / "vocab.json").read_text())
    named = {token: piece for piece, token in known.items()}
    special = {"</s>", "<pad>", "<unk>"}
    return "".join(named[token] for token in tokens if named[token] not in special).replace("▁", " ").strip()


@pytest.mark.parametrize(
    "options", [{}, {"num_beams": 4}, {"num_beams": 2, "max_new_tokens": 5, "no_repeat_ngram_size": 2}]
)
def test_a_list_is_answered_with_what_generate_writes(
    texts: TinyZoo, translator: Callable[[str], Predictor], options: dict[str, Any]
) -> None:
    model = AutoModelForSeq2SeqLM.from_pretrained(texts.checkpoints / "deutsch")
    body: Any = translator("deutsch").predict(TEXTS, {"generate_parameters": options}).body
    expected = [
        spoken(texts, model.generate(torch.tensor([ids_of(texts, text)]), **options)[0].tolist()) for text in TEXTS
    ]
    assert [answer["translation_text"] for answer in body] == expected
    assert len(set(expected)) >= 3


def test_a_single_text_is_answered_by_a_list_of_one(translator: Callable[[str], Predictor]) -> None:
    body: Any = translator("deutsch").predict("the cat").body
    assert [list(answer) for answer in body] == [["translation_text"]]


def test_options_may_stand_beside_generate_parameters_or_under_other_names(
    translator: Callable[[str], Predictor],
) -> None:
    asked = {"num_beams": 3, "max_new_tokens": 4}
    bodies = [
        translator("deutsch").predict(TEXTS, parameters).body
        for parameters in ({"generate_parameters": asked}, asked, {"generate_kwargs": asked})
    ]
    assert bodies[0] == bodies[1] == bodies[2] != translator("deutsch").predict(TEXTS).body


def test_a_long_text_is_answered_passage_by_passage(translator: Callable[[str], Predictor]) -> None:
    predictor = translator("deutsch")
    whole: Any = predictor.predict(LONG)
    assert whole.truncated == 0
    parts = [
        "the cat sees a big dog.",
        "she likes the red house and not the tree.",
    ]
    first: Any = predictor.predict(parts).body
    assert whole.body[0]["translation_text"].startswith(first[0]["translation_text"])
    assert len(whole.body[0]["translation_text"]) > 3 * len(first[0]["translation_text"])


def test_a_model_of_single_sentences_writes_each_by_itself(texts: TinyZoo) -> None:
    entry = texts.store.entry("deutsch", 1)
    settings = {**entry.options["text_to_text"], "sentences": True}
    alone = entry.model_copy(update={"options": {**entry.options, "text_to_text": settings}})
    predictor = Predictor(alone, texts.store.folder("deutsch", 1), threads=1)
    each: Any = predictor.predict(["the cat sees a big dog.", "he likes the red house!"]).body
    text = "the cat sees a big dog.\nhe likes the red house!"
    both: Any = predictor.predict(text).body
    assert both == [{"translation_text": "\n".join(answer["translation_text"] for answer in each)}]
    whole = Predictor(entry, texts.store.folder("deutsch", 1), threads=1).predict(text).body
    assert predictor.predict(text, {"truncation": True}).body == whole != both


def test_an_option_that_is_null_counts_as_left_out(translator: Callable[[str], Predictor]) -> None:
    left_out = dict.fromkeys(["truncation", "generate_parameters", "clean_up_tokenization_spaces", "num_beams"])
    assert translator("deutsch").predict(TEXTS, left_out).body == translator("deutsch").predict(TEXTS).body


def test_a_stream_tells_whether_its_text_was_cut(translator: Callable[[str], Predictor]) -> None:
    predictor = translator("deutsch")
    assert [bit.truncated for bit in predictor.stream(LONG, {"truncation": True})] == [1]
    assert {bit.truncated for bit in predictor.stream(LONG, {})} == {0}


def test_a_long_text_is_cut_where_that_is_asked_for(translator: Callable[[str], Predictor]) -> None:
    cut = translator("deutsch").predict(LONG, {"truncation": "only_first"})
    body: Any = cut.body
    assert cut.truncated == 1
    assert body == translator("deutsch").predict(LONG + " now" * 9, {"truncation": True}).body


def test_a_text_without_spaces_longer_than_the_model_is_answered(translator: Callable[[str], Predictor]) -> None:
    body: Any = translator("deutsch").predict("x" * 500).body
    assert body[0]["translation_text"]


@pytest.mark.parametrize("text", ["", " \n", 7, None, {"text": "a"}, "half \ud800"])
def test_what_is_no_text_is_refused(translator: Callable[[str], Predictor], text: object) -> None:
    with pytest.raises(InvalidInput):
        translator("deutsch").predict(text)


def test_a_text_of_a_megabyte_is_refused(translator: Callable[[str], Predictor]) -> None:
    with pytest.raises(TooLarge) as caught:
        translator("deutsch").predict("a" * 1_000_000)
    assert caught.value.code == "input_too_long"


@pytest.mark.parametrize(
    ("parameters", "param"),
    [
        ({"num_beams": 0}, "parameters.generate_parameters.num_beams"),
        ({"num_beams": 1000}, "parameters.generate_parameters.num_beams"),
        ({"generate_parameters": {"beams": 3}}, "parameters.generate_parameters.beams"),
        ({"generate_parameters": 3}, "parameters"),
        ({"do_sample": True}, "parameters.generate_parameters.do_sample"),
        ({"bad_words_ids": [[100_000]]}, "parameters.generate_parameters"),
        ({"bad_words_ids": [[]]}, "parameters.generate_parameters"),
        ({"suppress_tokens": [1] * 1001}, "parameters.generate_parameters.suppress_tokens"),
        ({"begin_suppress_tokens": [1] * 1001}, "parameters.generate_parameters.begin_suppress_tokens"),
        ({"forced_bos_token_id": -1}, "parameters.generate_parameters.forced_bos_token_id"),
        ({"length_penalty": float("nan")}, "parameters.generate_parameters.length_penalty"),
        ({"early_stopping": "soon"}, "parameters.generate_parameters.early_stopping"),
        ({"tgt_lang": "fr"}, "parameters.tgt_lang"),
        ({"top_k": 3}, "parameters.top_k"),
    ],
)
def test_a_bad_option_is_named(
    translator: Callable[[str], Predictor], parameters: dict[str, object], param: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        translator("deutsch").predict("the cat", parameters)
    assert str(caught.value.param).startswith(param)
    assert len(caught.value.message) < 400


def test_a_model_of_many_languages_is_told_which(translator: Callable[[str], Predictor]) -> None:
    tongues = translator("tongues")
    pairs = [("en", "de"), ("en", "fr"), ("de", "en")]
    bodies = [tongues.predict(TEXTS, {"src_lang": one, "tgt_lang": other}).body for one, other in pairs]
    assert len({json.dumps(body) for body in bodies}) == 3
    for parameters, param in (
        ({}, "parameters.src_lang"),
        ({"src_lang": "en"}, "parameters.tgt_lang"),
        ({"src_lang": "en", "tgt_lang": "klingon"}, "parameters.tgt_lang"),
    ):
        with pytest.raises(InvalidInput) as caught:
            tongues.predict(TEXTS, parameters)
        assert caught.value.param == param


def test_a_model_of_several_tasks_is_told_which_in_front_of_the_text(translator: Callable[[str], Predictor]) -> None:
    t5 = translator("t5")
    german, french = (t5.predict(TEXTS, {"src_lang": "en", "tgt_lang": code}).body for code in ("de", "fr"))
    assert german == t5.predict(TEXTS).body != french
    with pytest.raises(InvalidInput) as caught:
        t5.predict(TEXTS, {"src_lang": "de", "tgt_lang": "en"})
    assert "en-de" in caught.value.message


def test_what_nobody_waits_for_any_more_is_not_written(texts: TinyZoo, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, gate, real = threading.Semaphore(0), threading.Event(), Writer._answered
    batches: list[int] = []

    def held(self: Writer, batch: Any, run: Any) -> Any:
        batches.append(len(batch))
        begun.release()
        assert gate.wait(60)
        return real(self, batch, run)

    async def leave(loader: Loader) -> None:
        asked = [asyncio.create_task(loader.predict("deutsch", text, {})) for text in (TEXTS, LONG)]
        await asyncio.to_thread(begun.acquire)
        for one in asked:
            one.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
        gate.set()

    loader = Loader(Registry(texts.store, {}), texts.store, texts.settings)
    loader.load("deutsch")
    monkeypatch.setattr(Writer, "_answered", held)
    try:
        asyncio.run(leave(loader))
    finally:
        loader.close()
    assert len(batches) == 1


def test_one_text_that_cannot_be_run_does_not_spoil_a_list(
    texts: TinyZoo, translator: Callable[[str], Predictor], monkeypatch: pytest.MonkeyPatch
) -> None:
    long, real = len(ids_of(texts, TEXTS[1])), Writer._answered

    def choosy(self: Writer, batch: Any, run: Any) -> Any:
        if any(len(wanted.ids) == long for wanted in batch):
            raise MemoryError
        return real(self, batch, run)

    whole: Any = translator("deutsch").predict(TEXTS).body
    monkeypatch.setattr(Writer, "_answered", choosy)
    prediction = translator("deutsch").predict(TEXTS)
    body: Any = prediction.body
    assert (prediction.failed, body[1]["code"]) == (1, "run_failed")
    assert [body[place] for place in (0, 2, 3)] == [whole[place] for place in (0, 2, 3)]


def test_every_kind_can_be_warmed_before_the_first_request(translator: Callable[[str], Predictor]) -> None:
    for name in ("deutsch", "tongues", "t5"):
        translator(name).warm()
