"""The starters on text encoders, beside the body that is fetched with them, answer as their cards promise."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from adapters.training.graphs_in_torch import GraphsInTorch
from adapters.training.recipe import load_recipe
from zoo.catalogue.entry import CatalogueEntry, ModelEntry
from zoo.catalogue.registry import load_catalogue
from zoo.catalogue.sources import fetch
from zoo.catalogue.sources.starter import STARTERS
from zoo.engine.predictor import Predictor
from zoo.errors import SourceUnavailable

ENTRIES = {entry.name: entry for entry in load_catalogue().values() if entry.companions and (entry.modality == "text")}
WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def body(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the body that the starters name, fetched once for all of them."""
    entry = next(iter(ENTRIES.values()))
    folder = tmp_path_factory.mktemp("body")
    try:
        fetch(entry, folder)
    except SourceUnavailable as error:
        pytest.skip(error.message)
    shutil.rmtree(folder / "adapter")
    return folder


def answered(name: str, body: Path, folder: Path, inputs: object) -> Any:
    """What the served version says to one request without options."""
    shutil.copytree(body, folder, copy_function=os.link)
    shutil.copytree(STARTERS / name, folder, dirs_exist_ok=True, copy_function=_replace)
    task = ENTRIES[name].task
    servable = load_recipe(task).load(folder)
    entry = ModelEntry(
        name=name,
        version=1,
        task=task,
        modality="text",
        architecture=servable.architecture,
        licence="",
        created=0,
        labels=servable.labels,
        limits=servable.limits,
        options=servable.options,
    )
    return Predictor(entry, folder, threads=1, runs=GraphsInTorch(servable)).predict(inputs).body


def _replace(source: str, target: str) -> None:
    Path(target).unlink(missing_ok=True)
    shutil.copyfile(source, target)


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=lambda entry: entry.name)
def test_the_body_is_the_one_of_the_catalogue(entry: CatalogueEntry) -> None:
    (companion,) = entry.companions
    for base in load_catalogue().values():
        if any(source == companion.source for source in base.sources):
            assert companion.files[WEIGHTS] == base.files[WEIGHTS]
            break
    else:
        pytest.fail("no model of the catalogue is that body")


# What a client is told of each: the likeliest label of some texts.
CLASSES: dict[str, dict[object, str]] = {
    "sentiment": {
        "a warm , funny and beautifully acted film": "positive",
        "dull , far too long , and not a single joke works": "negative",
        "one of the best films of the year": "positive",
    },
    "sms-spam": {
        "WINNER!! You have won a 1000 cash prize. Call 09061701461 now to claim": "spam",
        "Running late, will be home by seven. Shall I bring milk?": "ham",
    },
    "bank-intents": {
        "Where is the card that I ordered two weeks ago?": "card_arrival",
        "How do I change my PIN?": "change_pin",
        "My phone was stolen and I am worried about my account": "lost_or_stolen_phone",
    },
    "sentence-entailment": {
        ("A man is playing a guitar on a stage", "A man is playing a guitar"): "entailment",
        ("A man is playing a guitar", "There is no man playing a guitar"): "contradiction",
        ("A dog is running on the beach", "Two women are cooking in a kitchen"): "neutral",
    },
    "news-topics": {
        "The striker scored twice as the champions won the cup final": "Sports",
        "Shares fell after the bank reported lower profits for the quarter": "Business",
        "The new version of the web browser fixes a security hole in its software": "Sci/Tech",
    },
}
# The rest have tests of their own below.
OTHERS = {"tweet-entities", "passage-answers", "masked-words"}


def test_every_text_starter_is_tried_on_some_texts() -> None:
    assert set(ENTRIES) <= {*CLASSES, *OTHERS}


@pytest.mark.real
@pytest.mark.parametrize("name", [name for name in CLASSES if name in ENTRIES])
def test_texts_get_the_label_that_fits(name: str, body: Path, tmp_path: Path) -> None:
    expected = CLASSES[name]
    told = answered(name, body, tmp_path / name, [_request(text) for text in expected])
    assert [labels[0]["label"] for labels in told] == list(expected.values())


def _request(text: object) -> object:
    return {"text": text[0], "text_pair": text[1]} if isinstance(text, tuple) else text


@pytest.mark.real
@pytest.mark.skipif("tweet-entities" not in ENTRIES, reason="this release has no such starter")
def test_entities_are_found_and_named(body: Path, tmp_path: Path) -> None:
    text = "Angela Merkel flew from Berlin to London to meet Barack Obama"
    (told,) = answered("tweet-entities", body, tmp_path / "starter", [text])
    found = [(text[one["start"] : one["end"]].strip(), one["entity_group"]) for one in told]
    assert found == [("Angela Merkel", "PER"), ("Berlin", "LOC"), ("London", "LOC"), ("Barack Obama", "PER")]


@pytest.mark.real
@pytest.mark.skipif("passage-answers" not in ENTRIES, reason="this release has no such starter")
def test_questions_are_answered_out_of_the_text(body: Path, tmp_path: Path) -> None:
    context = "The bridge was built in Lisbon after plans of David Steinman. It was opened in August 1966."
    asked = {"Where was the bridge built?": "Lisbon", "When was it opened?": "1966"}
    requests = [{"question": question, "context": context} for question in asked]
    told = answered("passage-answers", body, tmp_path / "starter", requests)
    assert all(answer in one["answer"] for one, answer in zip(told, asked.values(), strict=True))


@pytest.mark.real
@pytest.mark.skipif("masked-words" not in ENTRIES, reason="this release has no such starter")
def test_gaps_are_filled_with_words_that_fit(body: Path, tmp_path: Path) -> None:
    asked = {"He looked at [MASK] wife.": "his", "She had never [MASK] such a thing.": "seen"}
    told = answered("masked-words", body, tmp_path / "starter", list(asked))
    assert all(word in [one["token_str"] for one in some] for some, word in zip(told, asked.values(), strict=True))
