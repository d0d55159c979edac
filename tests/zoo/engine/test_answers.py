"""What makes two questions equal, and what is kept of an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from zoo.catalogue.entry import ModelEntry, ModelFile
from zoo.engine.answers import LARGEST, Answers, Question, content_of, fingerprint
from zoo.engine.predictor import Prediction

SALT = b"salt"


def entry(**changes: Any) -> ModelEntry:
    known: dict[str, Any] = {
        "name": "mood",
        "version": 1,
        "task": "text-classification",
        "modality": "text",
        "architecture": "bert",
        "licence": "mit",
        "created": 1,
        "labels": ("a", "b"),
        "files": (ModelFile(path="model.onnx", size=3, sha256="0" * 64),),
    }
    return ModelEntry(**known | changes)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a", "b"),
        ("a", ["a"]),
        (["a", "b"], ["ab"]),
        (1, 1.0),
        (1, True),
        (None, b""),
        (b"a", b"b"),
        (b"a", "a"),
        ([None, b"a"], [b"a", None]),
        ([b"a", b"b"], [b"b", b"a"]),
        ({"a": 1}, {"a": 2}),
    ],
)
def test_different_inputs_have_different_fingerprints(one: object, other: object) -> None:
    assert fingerprint(one, SALT) != fingerprint(other, SALT)


def test_equal_inputs_have_equal_fingerprints_whatever_the_order_of_their_options() -> None:
    assert fingerprint({"a": 1, "b": b"x"}, SALT) == fingerprint({"b": b"x", "a": 1}, SALT) is not None


def test_what_cannot_be_compared_or_is_too_large_has_none() -> None:
    assert fingerprint(["a" * (LARGEST + 1)], SALT) is None
    assert fingerprint(object(), SALT) is None


class Counted(list[object]):
    """A list that notes how often it is walked through."""

    walks = 0

    def __iter__(self) -> Iterator[object]:
        Counted.walks += 1
        return super().__iter__()


def test_what_is_too_large_is_not_read_to_its_end() -> None:
    one = Counted([1])
    assert fingerprint([one] * LARGEST, SALT) is None
    assert fingerprint([[[one] * 100] * 100] * 100, SALT) is None
    assert Counted.walks < LARGEST / 8


def test_a_name_that_is_too_large_has_none_either() -> None:
    assert fingerprint({"a" * (LARGEST + 1): 1}, SALT) is None


def test_a_version_is_known_by_what_its_answers_depend_on() -> None:
    same = entry(name="other", version=7, metrics={"accuracy": 0.5}, lineage={"job": "x"}, created=9)
    assert content_of(entry()) == content_of(same)
    files = (ModelFile(path="model.onnx", size=3, sha256="1" * 64),)
    for changes in ({"labels": ("a", "c")}, {"files": files}, {"options": {"pooling": "cls"}}, {"limits": {"x": 1}}):
        assert content_of(entry()) != content_of(entry(**changes))


def asked(answers: Answers, entry: ModelEntry, *, failed: int = 0) -> Prediction:
    async def work() -> Prediction:
        return Prediction(entry=entry, body=["answer"], items=1, failed=failed, run_ms=5.0)

    return asyncio.run(answers.answer(Question(entry, "predict", "text", {}), work))


def test_an_answer_that_was_kept_names_the_version_that_was_asked() -> None:
    answers = Answers(100_000)
    asked(answers, entry())
    copy = asked(answers, entry(name="copy", version=4))
    assert (copy.entry.reference, copy.body, copy.run_ms) == ("copy@4", ["answer"], 0.0)


def test_an_answer_with_a_failed_item_is_not_kept() -> None:
    answers = Answers(100_000)
    asked(answers, entry(), failed=1)
    assert asked(answers, entry(), failed=1).run_ms == 5.0
    assert answers.counts().hits == 0


def test_nothing_is_kept_unless_it_is_wished_for() -> None:
    answers = Answers()
    asked(answers, entry())
    assert asked(answers, entry()).run_ms == 5.0
    assert (answers.counts().hits, answers.counts().misses, answers.counts().on) == (0, 0, False)
