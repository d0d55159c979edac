"""question-answering answers as transformers' own pipeline did: places, windows, several answers, or none.

Release 5 of transformers has no such pipeline any more. What chooses spans in it stays there for documents, and is the
reference here; what stood around it in release 4.57 is written out below.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForQuestionAnswering, AutoTokenizer
from transformers.pipelines.document_question_answering import select_starts_ends

from tests.conftest import TinyZoo
from tests.imports import Imports
from tests.tiny_spans import KINDS, write_tokens_checkpoint
from zoo.engine.predictor import Predictor
from zoo.errors import InvalidInput, TooLarge

Predictors = Callable[[str], Predictor]
QUESTION = "Why was my parcel late?"
CONTEXT = "The courier lost it again, said Angela Merkel-S. of the U.S.  Please help:\nmy card is not in Z\u00fcrich."
LONG = "My parcel was late again, the courier of Angela lost the invoice in Z\u00fcrich. " * 4 + "Is it 12,5 not?"


@dataclass(frozen=True)
class Reference:
    """The pipeline of transformers 4.57 for fast tokenizers."""

    model: Any
    tokenizer: Any

    @property
    def inputs(self) -> list[str]:
        """Those that the tokenizer of such a model would name."""
        typed = getattr(self.model.config, "type_vocab_size", 0) > 1
        return ["input_ids", "attention_mask", *(["token_type_ids"] if typed else [])]

    def __call__(self, question: str, context: str, **asked: Any) -> list[dict[str, Any]]:
        top_k, impossible = asked.get("top_k", 1), asked.get("handle_impossible_answer", False)
        longest = asked.get("max_seq_len") or min(self.tokenizer.model_max_length, 384)
        stride = asked.get("doc_stride", min(longest // 2, 128))
        encoded = self.tokenizer(
            question,
            context,
            truncation="only_second",
            max_length=longest,
            stride=stride,
            return_token_type_ids=True,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )
        found: list[dict[str, Any]] = []
        least = 1_000_000.0
        whole_words = asked.get("align_to_words", True)
        for place, ids in enumerate(encoded["input_ids"]):
            masked = [int(one != 1) for one in encoded.sequence_ids(place)]
            masked[0] = 0
            inputs = {name: torch.tensor(encoded[name][place])[None] for name in self.inputs}
            with torch.no_grad():
                output = self.model(**inputs)
            starts, ends, scores, least = select_starts_ends(
                output.start_logits.numpy(),
                output.end_logits.numpy(),
                np.array([masked]),
                np.ones((1, len(ids)), dtype=int),
                least,
                top_k * 2 + 10 if whole_words else top_k,
                impossible,
                asked.get("max_answer_len", 15),
            )
            for first, last, score in zip(starts, ends, scores, strict=True):
                start, end = self._place(encoded[place], int(first), int(last), whole_words)
                said = context[start:end]
                same = next((one for one in found if one["answer"].lower() == said.lower()), None)
                if same:
                    same["score"] += float(score)
                else:
                    found.append({"answer": said, "score": float(score), "start": start, "end": end})
        if impossible:
            found.append({"answer": "", "score": least, "start": 0, "end": 0})
        return sorted(found, key=lambda one: one["score"], reverse=True)[:top_k]

    def _place(self, encoding: Any, first: int, last: int, whole_words: bool) -> tuple[int, int]:
        words = encoding.token_to_word(first), encoding.token_to_word(last)
        if not whole_words or None in words:
            return encoding.offsets[first][0], encoding.offsets[last][1]
        begin, end = (encoding.word_to_chars(word, sequence_index=1) for word in words)
        return begin[0], end[1]


@pytest.fixture(scope="module")
def readers(tmp_path_factory: pytest.TempPathFactory) -> TinyZoo:
    """Shared: look, don't touch. Models are imported when they are first asked for."""
    return TinyZoo(tmp_path_factory.mktemp("readers"), tmp_path_factory.mktemp("reader-checkpoints"))


@pytest.fixture(scope="module")
def predictor_of(imports: Imports, readers: TinyZoo) -> Predictors:
    made: dict[str, Predictor] = {}

    def predictor(kind: str) -> Predictor:
        if kind not in made:
            write_tokens_checkpoint(readers.checkpoints / kind, kind=kind, answers=True)
            imports.bring(readers.home, kind, readers.checkpoints / kind)
            made[kind] = Predictor(readers.store.entry(kind, 1), readers.store.folder(kind, 1), threads=1)
        return made[kind]

    return predictor


@pytest.fixture(scope="module")
def reference_of(readers: TinyZoo, predictor_of: Predictors) -> Callable[[str], Reference]:
    made: dict[str, Reference] = {}

    def reference(kind: str) -> Reference:
        if kind not in made:
            predictor_of(kind)
            folder = readers.checkpoints / kind
            model = AutoModelForQuestionAnswering.from_pretrained(folder).eval()
            made[kind] = Reference(model, AutoTokenizer.from_pretrained(folder))
        return made[kind]

    return reference


def assert_same(served: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    assert [{**one, "score": 0} for one in served] == [{**one, "score": 0} for one in expected]
    for one, other in zip(served, expected, strict=True):
        assert one["score"] == pytest.approx(other["score"], abs=1e-4)


ASKED: list[dict[str, Any]] = [
    {"top_k": 5},
    {"top_k": 4, "max_answer_len": 3},
    {"top_k": 4, "align_to_words": False},
    {"top_k": 5, "handle_impossible_answer": True},
    {"top_k": 3, "max_seq_len": 30, "doc_stride": 5},
    {"top_k": 3, "doc_stride": 0},
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("context", [CONTEXT, LONG], ids=["short", "long"])
def test_answers_are_those_of_the_pipeline(
    predictor_of: Predictors, reference_of: Callable[[str], Reference], kind: str, context: str
) -> None:
    reference = reference_of(kind)
    for asked in ASKED:
        body: Any = predictor_of(kind).predict({"question": QUESTION, "context": context}, asked).body
        assert_same(body, reference(QUESTION, context, **asked))


@pytest.mark.parametrize("impossible", [False, True])
def test_one_answer_is_an_object(
    predictor_of: Predictors, reference_of: Callable[[str], Reference], impossible: bool
) -> None:
    asked = {"handle_impossible_answer": impossible}
    body: Any = predictor_of("bert").predict({"question": QUESTION, "context": CONTEXT}, asked).body
    assert_same([body], reference_of("bert")(QUESTION, CONTEXT, **asked))
    assert json.loads(json.dumps(body, allow_nan=False)) == body


@pytest.mark.parametrize("kind", ["bert", "roberta", "deberta-v2"])
def test_places_are_those_of_the_context_that_was_sent(predictor_of: Predictors, kind: str) -> None:
    body: Any = predictor_of(kind).predict({"question": QUESTION, "context": LONG}, {"top_k": 20}).body
    assert len(body) == 20
    assert all(LONG[one["start"] : one["end"]] == one["answer"] != "" for one in body)
    assert [one["score"] for one in body] == sorted((one["score"] for one in body), reverse=True)
    assert max(one["end"] for one in body) > 100


def test_equal_answers_in_several_windows_are_one_and_no_surer_than_certain(predictor_of: Predictors) -> None:
    body: Any = predictor_of("bert").predict({"question": QUESTION, "context": "help " * 200}, {"top_k": 5}).body
    assert len({one["answer"].lower() for one in body}) == len(body)
    assert all(0 <= one["score"] <= 1 for one in body)


def test_of_a_long_question_its_beginning_is_read(predictor_of: Predictors) -> None:
    long = QUESTION + " please help" * 60
    asked = {"max_question_len": 5}
    one, other = (
        predictor_of("bert").predict({"question": question, "context": CONTEXT}, asked).body
        for question in (long, "Why was my parcel late")
    )
    assert one == other


def test_a_list_is_answered_in_its_order_and_a_bad_item_alone_is_refused(predictor_of: Predictors) -> None:
    good = {"question": QUESTION, "context": CONTEXT}
    body: Any = predictor_of("bert").predict([good, {"question": "", "context": CONTEXT}, "text", good]).body
    assert [one.get("code") for one in body] == [None, "invalid_text", "invalid_question", None]
    assert_same([body[0], body[3]], [predictor_of("bert").predict(good).body] * 2)  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("item", "param"),
    [
        ("where is it?", "inputs"),
        ({"question": QUESTION}, "inputs"),
        ({"question": QUESTION, "context": CONTEXT, "text": CONTEXT}, "inputs"),
        ({"question": None, "context": CONTEXT}, "inputs.question"),
        ({"question": QUESTION, "context": ["a"]}, "inputs.context"),
        ({"question": QUESTION, "context": " "}, "inputs.context"),
    ],
)
def test_an_item_without_both_texts_and_nothing_else_is_refused(
    predictor_of: Predictors, item: object, param: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        predictor_of("bert").predict(item)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"top_k": 0}, "parameters.top_k"),
        ({"max_answer_len": 0}, "parameters.max_answer_len"),
        ({"max_seq_len": 49}, "parameters.max_seq_len"),
        ({"max_seq_len": 8}, "inputs.question"),
        ({"doc_stride": 48}, "parameters.doc_stride"),
        ({"padding": "longest"}, "parameters.padding"),
    ],
)
def test_an_option_that_makes_no_sense_is_named(predictor_of: Predictors, asked: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        predictor_of("bert").predict({"question": QUESTION, "context": CONTEXT}, asked)
    assert caught.value.param == param


def test_a_context_of_more_than_64_windows_is_refused(predictor_of: Predictors) -> None:
    with pytest.raises(TooLarge) as caught:
        predictor_of("bert").predict({"question": QUESTION, "context": "a " * 3000})
    assert caught.value.code == "input_too_long"


def test_a_version_may_have_an_answer_length_and_no_answers_of_its_own(
    readers: TinyZoo, predictor_of: Predictors
) -> None:
    entry = predictor_of("bert").entry
    own = entry.model_copy(update={"options": {**entry.options, "max_answer_len": 2, "handle_impossible_answer": True}})
    predictor = Predictor(own, readers.store.folder("bert", 1), threads=1)
    item = {"question": QUESTION, "context": CONTEXT}
    expected = predictor_of("bert").predict(item, {"max_answer_len": 2, "handle_impossible_answer": True, "top_k": 9})
    assert predictor.predict(item, {"top_k": 9}).body == expected.body


ODD = {
    "emoji": "\U0001f600\U0001f469\u200d\U0001f469\u200d\U0001f467",
    "rtl": "\u05e9\u05dc\u05d5\u05dd \u202e\u0645\u0631\u062d\u0628\u0627",
    "combining": "e" + "\u0301" * 700,
    "zwj": "\u200d",
    "control": "parcel\x00\x07\x1b[0m",
}


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_unusual_characters_are_answered_with_valid_json(predictor_of: Predictors, kind: str, text: str) -> None:
    body: Any = predictor_of(kind).predict({"question": QUESTION, "context": text}).body
    assert json.loads(json.dumps(body, allow_nan=False)) == body
    assert text[body["start"] : body["end"]] == body["answer"]
