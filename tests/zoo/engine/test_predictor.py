"""From a request's inputs to the answer, for one version."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import TinyZoo
from zoo.engine.predictor import Predictor
from zoo.errors import ArtifactCorrupt, InvalidInput, TooLarge, Unsupported


@pytest.fixture(scope="module")
def mini(tiny_zoo: TinyZoo) -> Predictor:
    return Predictor(tiny_zoo.store.entry("mini", 1), tiny_zoo.store.folder("mini", 1), threads=1, max_items=2000)


@pytest.fixture(scope="module")
def mood(tiny_zoo: TinyZoo) -> Predictor:
    return Predictor(tiny_zoo.store.entry("mood", 1), tiny_zoo.store.folder("mood", 1), threads=1, max_items=2000)


def test_a_prediction_tells_what_it_took(mood: Predictor) -> None:
    prediction = mood.predict(["my parcel", "late", "late " * 99])
    assert prediction.entry.reference == "mood@1"
    assert (prediction.items, prediction.failed, prediction.truncated) == (3, 0, 1)
    assert prediction.tokens == 4 + 3 + 48
    assert prediction.run_ms > 0


def test_answers_come_in_the_order_sent_whatever_their_lengths(mood: Predictor) -> None:
    texts = ["my parcel was late again " * (1 + number * 7 % 9) + "abcdefghi"[number % 9] for number in range(27)]
    together: Any = mood.predict(texts).body
    alone: list[Any] = [mood.predict(text).body for text in texts]
    for one, (other,) in zip(together, alone, strict=True):
        assert [item["label"] for item in one] == [item["label"] for item in other]
        assert [item["score"] for item in one] == pytest.approx([item["score"] for item in other], abs=1e-5)


def test_threads_get_the_answers_to_their_own_texts(mood: Predictor) -> None:
    texts = ["parcel", "refund my card", "password locked again please", "late " * 30] * 10
    expected = [mood.rows([text])[0] for text in texts[:4]] * 10
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda text: mood.rows([text])[0], texts))
    np.testing.assert_allclose(np.array(answers, dtype=float), np.array(expected, dtype=float), atol=1e-6)


def test_an_empty_list_is_refused(mood: Predictor) -> None:
    with pytest.raises(InvalidInput, match="at least one") as caught:
        mood.predict([])
    assert (caught.value.code, caught.value.param) == ("batch_size", "inputs")


def test_more_items_than_allowed_are_refused_before_any_is_read(mood: Predictor) -> None:
    with pytest.raises(InvalidInput, match="at most 2000") as caught:
        mood.predict([object()] * 10_001)
    assert caught.value.code == "batch_size"


def test_exactly_as_many_items_as_allowed_are_answered(tiny_zoo: TinyZoo) -> None:
    few = Predictor(tiny_zoo.store.entry("mood", 1), tiny_zoo.store.folder("mood", 1), threads=1, max_items=3)
    assert few.predict(["late"] * 3).items == 3
    with pytest.raises(InvalidInput):
        few.predict(["late"] * 4)


def test_a_single_bad_item_raises_its_own_error(mood: Predictor) -> None:
    with pytest.raises(TooLarge):
        mood.predict("a" * 769)
    with pytest.raises(InvalidInput) as caught:
        mood.predict(" ")
    assert caught.value.code == "invalid_text"


def test_a_list_without_a_good_item_raises_the_first_error(mood: Predictor) -> None:
    with pytest.raises(InvalidInput) as caught:
        mood.predict([" ", "a" * 769])
    assert caught.value.code == "invalid_text"


def test_of_a_list_that_only_fails_one_can_see_that_it_goes_on(mood: Predictor) -> None:
    steps = mood.predicting([" "] * 70, {})
    assert (next(steps), steps.send([])) == ([], [])
    with pytest.raises(InvalidInput):
        steps.send([])


def test_a_short_text_is_light_and_a_long_one_or_a_list_is_not(mood: Predictor) -> None:
    assert mood.light("late " * 400, {"top_k": 1})
    assert not mood.light("late " * 401, {"top_k": 1})
    assert not mood.light(["late"], {})


def test_the_text_of_a_bad_item_is_never_repeated(mood: Predictor) -> None:
    body: Any = mood.predict(["parcel", "secret" * 1000, "secret\ud800", {"secret": 1}]).body
    assert "secret" not in json.dumps(body[1:])


def test_bare_rows_raise_on_a_bad_item(mood: Predictor) -> None:
    with pytest.raises(InvalidInput):
        mood.rows(["parcel", ""])


def test_bare_rows_are_logits_and_pooled_vectors(mood: Predictor, mini: Predictor) -> None:
    assert [row.shape for row in mood.rows(["parcel", "late"])] == [(3,), (3,)]
    assert [row.shape for row in mini.rows(["parcel", "late"])] == [(32,), (32,)]


def test_embedding_names_the_place_of_the_bad_text(mini: Predictor) -> None:
    with pytest.raises(TooLarge, match=r"^input\[2\]: ") as caught:
        mini.embed(["parcel", "late", "a" * 769])
    assert (caught.value.code, caught.value.param) == ("input_too_long", "input")
    with pytest.raises(InvalidInput, match=r"^input\[0\]: ") as empty:
        mini.embed(["", "late"])
    assert empty.value.code == "invalid_text"


@pytest.mark.parametrize("count", [0, 10_001])
def test_embedding_bounds_the_number_of_texts(mini: Predictor, count: int) -> None:
    with pytest.raises(InvalidInput) as caught:
        mini.embed(["late"] * count)
    assert (caught.value.code, caught.value.param) == ("batch_size", "input")


def test_a_classifier_gives_no_embeddings(mood: Predictor) -> None:
    with pytest.raises(InvalidInput, match="text-classification") as caught:
        mood.embed(["parcel"])
    assert (caught.value.code, caught.value.param) == ("wrong_task", "model")


@pytest.mark.parametrize("file", ["model.onnx", "tokenizer.json"])
@pytest.mark.parametrize("damage", ["missing", "truncated"])
def test_a_folder_that_cannot_be_served_is_named_by_its_file(
    tiny_zoo: TinyZoo, tmp_path: Path, file: str, damage: str
) -> None:
    folder = tmp_path / "version"
    shutil.copytree(tiny_zoo.store.folder("mood", 1), folder)
    if damage == "missing":
        (folder / file).unlink()
    else:
        (folder / file).write_bytes((folder / file).read_bytes()[:500])
    with pytest.raises(ArtifactCorrupt, match=f"^{file}") as caught:
        Predictor(tiny_zoo.store.entry("mood", 1), folder, threads=1)
    assert str(tmp_path) not in caught.value.message


def test_a_task_to_come_is_refused(tiny_zoo: TinyZoo) -> None:
    entry = tiny_zoo.store.entry("mood", 1).model_copy(update={"task": "table-question-answering"})
    with pytest.raises(Unsupported):
        Predictor(entry, tiny_zoo.store.folder("mood", 1), threads=1)
