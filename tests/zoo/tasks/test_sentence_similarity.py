"""sentence-similarity: cosines of vectors that transformers gives, pooled as the checkpoint says."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from tests.conftest import TinyZoo
from tests.tiny import write_checkpoint
from tests.zoo.tasks.language_zoo import LanguageZoo
from zoo.engine.predictor import Predictor
from zoo.errors import InvalidInput, TooLarge, ZooError

SOURCE = "my parcel was late"
OTHERS = ["the courier is late", "refund my card!", "why is the price not the price " * 9, SOURCE]
ASKED = {"source_sentence": SOURCE, "sentences": OTHERS}


write = partial(write_checkpoint, num_hidden_layers=1)


def by_torch(folder: Path, pooling: str) -> list[float]:
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    vectors = []
    for text in (SOURCE, *OTHERS):
        with torch.no_grad():
            hidden = model(**tokenizer(text, return_tensors="pt", truncation=True, max_length=48)).last_hidden_state[0]
        vectors.append({"mean": hidden.mean(dim=0), "cls": hidden[0], "max": hidden.max(dim=0).values}[pooling])
    return [float(torch.cosine_similarity(vectors[0], other, dim=0)) for other in vectors[1:]]


@pytest.mark.parametrize("pooling", ["mean", "cls", "max"])
def test_texts_are_compared_as_the_checkpoint_pools_them(languages: LanguageZoo, pooling: str) -> None:
    name = f"alike-{pooling}"
    predictor = languages.model(name, partial(write, pooling=pooling), task="sentence-similarity")
    assert predictor.entry.task == "sentence-similarity"
    body: Any = predictor.predict(ASKED).body
    assert body == pytest.approx(by_torch(languages.folder(name), pooling), abs=1e-4)
    assert body[-1] == pytest.approx(1.0, abs=1e-5)


def test_an_encoder_of_vectors_answers_too(predictor_of: Callable[[str], Predictor], full_zoo: TinyZoo) -> None:
    body: Any = predictor_of("mini").predict(ASKED).body
    assert body == pytest.approx(by_torch(full_zoo.checkpoints / "mini", "mean"), abs=1e-4)


def test_all_texts_stand_behind_the_prompt_of_the_checkpoint(
    predictor_of: Callable[[str], Predictor], full_zoo: TinyZoo
) -> None:
    entry = full_zoo.store.entry("mini", 1)
    options = {**entry.options, "prompts": {"query": "refund the "}, "default_prompt": "query"}
    other = entry.model_copy(update={"task": "sentence-similarity", "options": options})
    body: Any = Predictor(other, full_zoo.store.folder("mini", 1), threads=1).predict(ASKED).body
    written = {"source_sentence": "refund the " + SOURCE, "sentences": ["refund the " + text for text in OTHERS]}
    assert body == pytest.approx(predictor_of("mini").predict(written).body, abs=1e-5)


def test_a_model_of_the_task_gives_vectors_too(languages: LanguageZoo) -> None:
    predictor = languages.model("alike-mean", partial(write, pooling="mean"), task="sentence-similarity")
    body: Any = predictor.predict([SOURCE, OTHERS[0]], {"normalize": True}).body
    vectors: Any = predictor.embed([SOURCE, OTHERS[0]]).body
    np.testing.assert_allclose(np.array(body), np.array(vectors), atol=1e-6)
    alike: Any = predictor.predict(ASKED).body
    assert float(vectors[0] @ vectors[1]) == pytest.approx(alike[0], abs=1e-5)


def test_several_comparisons_are_answered_in_order_and_a_bad_one_alone_fails(
    predictor_of: Callable[[str], Predictor],
) -> None:
    bad = {"source_sentence": SOURCE, "sentences": ["late", ""]}
    prediction = predictor_of("mini").predict([ASKED, bad, {**ASKED, "sentences": ["late"]}])
    body: Any = prediction.body
    assert [len(body[0]), body[1]["code"], len(body[2])] == [4, "invalid_text", 1]
    assert prediction.truncated == 1


@pytest.mark.parametrize(
    ("item", "code", "param"),
    [
        ({"source_sentence": "late"}, "invalid_sentences", "inputs"),
        ({"sentences": ["late"]}, "invalid_sentences", "inputs"),
        ({**ASKED, "more": 1}, "invalid_sentences", "inputs"),
        ({"source_sentence": "late", "sentences": []}, "invalid_sentences", "inputs.sentences"),
        ({"source_sentence": "late", "sentences": "lost"}, "invalid_sentences", "inputs.sentences"),
        ({"source_sentence": "", "sentences": ["lost"]}, "invalid_text", "inputs.source_sentence"),
        ({"source_sentence": "late", "sentences": ["lost", 3]}, "invalid_request", "inputs.sentences[1]"),
        ({"source_sentence": "late", "sentences": ["x" * 10_000]}, "input_too_long", "inputs.sentences[0]"),
        ({"source_sentence": "late", "sentences": ["x"] * 2049}, "batch_size", "inputs.sentences"),
    ],
    ids=["no-sentences", "no-source", "unknown-key", "none", "text", "empty", "number", "long", "many"],
)
def test_what_cannot_be_compared_is_named(
    predictor_of: Callable[[str], Predictor], item: object, code: str, param: str
) -> None:
    with pytest.raises(ZooError) as caught:
        predictor_of("mini").predict(item)
    assert isinstance(caught.value, InvalidInput | TooLarge)
    assert (caught.value.code, caught.value.param) == (code, param)


def test_options_of_another_task_are_refused(predictor_of: Callable[[str], Predictor]) -> None:
    with pytest.raises(InvalidInput, match="normalize is not an option of sentence-similarity"):
        predictor_of("mini").predict(ASKED, {"normalize": True})
