"""Wrong and odd requests to every task that reads texts: refused by name or answered, never a fault of the service."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn

import httpx
import pytest

from api.app import build
from tests.api.live import serving
from tests.conftest import TinyZoo
from tests.every_task import REQUESTS, Asked
from zoo.settings import Settings
from zoo.tasks.decoding.generation import Generation
from zoo.tasks.task import task_class

pytestmark = pytest.mark.timeout(300)  # the first test may have to import a model for every task
LABELS = {"candidate_labels": ["delivery", "payment"]}
Place = tuple[str, Callable[[Any], Any], dict[str, Any]]
# Where a request can hold a text: the model, its inputs around the text, and its options.
PLACES: Mapping[str, Place] = {
    "classification": ("mood", lambda text: text, {}),
    "pair-first": ("nli", lambda text: {"text": text, "text_pair": "why"}, {}),
    "pair-second": ("nli", lambda text: {"text": "why", "text_pair": text}, {}),
    "several-labels": ("topics", lambda text: text, {}),
    "regression": ("mark", lambda text: text, {}),
    "zero-shot": ("nli", lambda text: text, LABELS),
    "entities": ("names", lambda text: text, {}),
    "question": ("manual", lambda text: {"question": text, "context": "it is late"}, {}),
    "context": ("manual", lambda text: {"question": "why", "context": text}, {}),
    "gap": ("filler", lambda text: f"[MASK] {text}" if isinstance(text, str) else text, {}),
    "vector": ("mini", lambda text: text, {}),
    "source-sentence": ("mini", lambda text: {"source_sentence": text, "sentences": ["late"]}, {}),
    "sentences": ("mini", lambda text: {"source_sentence": "late", "sentences": ["lost", text]}, {}),
    "translation": ("deutsch", lambda text: text, {}),
    "summary": ("short", lambda text: text, {}),
}
TEXT_TASKS = [task for task in REQUESTS if task_class(task).modality == "text"]


@pytest.fixture(scope="module")
def client(every_task: TinyZoo) -> Iterator[httpx.Client]:
    settings = Settings(_env_file=None, home=every_task.home, redis_url="", threads=1, drain_seconds=2.0)
    with serving(build(settings), settings) as (_, port):
        with httpx.Client(base_url=f"http://127.0.0.1:{port}/v1/models/", trust_env=False, timeout=60) as made:
            yield made


def _no_number(name: str) -> NoReturn:
    raise AssertionError(f"{name} is not JSON")


def answered(answer: httpx.Response) -> Any:
    """The body of a good answer, which is JSON to the letter."""
    assert answer.status_code == 200, answer.text
    return json.loads(answer.content, parse_constant=_no_number)


def refused(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of a refusal that can be read."""
    assert 400 <= answer.status_code < 500 and len(answer.content) <= 2048, answer.text
    return answer.status_code, answer.json()["code"]


@pytest.mark.parametrize("place", PLACES)
def test_row_30_a_text_of_megabytes_is_refused(client: httpx.Client, place: str) -> None:
    model, around, options = PLACES[place]
    for size in (1_000_000, 10_000_000):
        body = {"inputs": around("x" * size), "parameters": options}
        assert refused(client.post(f"{model}/predict", json=body)) == (413, "input_too_long")


@pytest.mark.parametrize("place", PLACES)
def test_row_31_a_list_of_nothing_or_of_too_many_is_refused(client: httpx.Client, place: str) -> None:
    model, around, options = PLACES[place]
    for inputs in ([], [around("late")] * 10_001):
        answer = client.post(f"{model}/predict", json={"inputs": inputs, "parameters": options})
        assert refused(answer) == (422, "batch_size")


def test_row_31_too_many_sentences_to_compare_are_refused(client: httpx.Client) -> None:
    answer = client.post("mini/predict", json={"inputs": {"source_sentence": "a", "sentences": ["b"] * 10_001}})
    assert refused(answer) == (422, "batch_size")


ODD = {
    "emoji": "👩‍👩‍👧‍👦 is late 🏳️‍🌈",
    "right-to-left": "مرحبا \u202eשלום\u202c late",
    "marks": "e" + "\u0301" * 500,
    "joiners": "late\u200d\u200d\u200b\ufeff\u2060",
    "only-joiners": "\u200d\u200d",
    "control": "\x01\x1b[31mlate\x7f\x85\u2028",
    "only-control": "\x01\x02\x03",
    "no-characters": "\U000e0001\ufffe\U0010ffff",
    "wide": "ｌａｔｅ 𝔩𝔞𝔱𝔢 ﷺ",
}


@pytest.mark.parametrize("place", PLACES)
def test_row_32_odd_characters_are_read(client: httpx.Client, place: str) -> None:
    model, around, options = PLACES[place]
    for name, text in ODD.items():
        answer = client.post(f"{model}/predict", json={"inputs": around(text), "parameters": options})
        assert answered(answer) is not None, name
    marks = client.post(f"{model}/predict", json={"inputs": around("e" + "\u0301" * 100_000), "parameters": options})
    assert refused(marks) == (413, "input_too_long")  # sixteen characters for a token at most
    for empty in ("", " \n\u2003"):
        answer = client.post(f"{model}/predict", json={"inputs": around(empty), "parameters": options})
        assert answer.status_code == 200 if model == "filler" else refused(answer) == (422, "invalid_text"), answer.text


BAD_LABELS = {
    "none": [],
    "too-many": [f"label {number}" for number in range(1001)],
    "twice": ["delivery", "payment", " delivery"],
    "empty": ["delivery", ""],
    "blank": ["delivery", " \t"],
    "only-commas": ", ,",
    "number": 5,
    "numbers": [1, 2],
    "nothing-in-it": ["delivery", None],
    "nested": ["delivery", ["payment"]],
    "object": {"delivery": 1},
}


@pytest.mark.parametrize("case", BAD_LABELS)
def test_row_33_labels_that_cannot_be_chosen_from_are_refused(client: httpx.Client, case: str) -> None:
    answer = client.post("nli/predict", json={"inputs": "late", "parameters": {"candidate_labels": BAD_LABELS[case]}})
    assert refused(answer) == (422, "invalid_labels")
    assert answer.json()["error"]["param"].startswith("parameters.candidate_labels")


def test_row_33_a_label_longer_than_the_model_reads_is_refused(client: httpx.Client) -> None:
    body = {"inputs": "late", "parameters": {"candidate_labels": ["delivery", "very " * 150]}}
    assert refused(client.post("nli/predict", json=body)) == (413, "input_too_long")


SHAPES: tuple[Any, ...] = (
    *(None, 5, 1.5, True, {}, [[]], [None], [5], {"": ""}),
    *({"text": 5}, {"text": ["a"]}, {"text_pair": "a"}, {"question": 1, "context": []}),
    *({"source_sentence": [], "sentences": {}}, {"sentences": "a"}),
)


@pytest.mark.parametrize("place", PLACES)
def test_inputs_of_another_form_are_refused(client: httpx.Client, place: str) -> None:
    model, around, options = PLACES[place]
    for inputs in (*SHAPES, *(around(shape) for shape in SHAPES if around(shape) is not shape)):
        if isinstance(inputs, dict) and inputs.get("text_pair", "") is None:
            continue  # an object without its second part is one text
        answer = client.post(f"{model}/predict", json={"inputs": inputs, "parameters": options})
        assert refused(answer)[0] == 422, inputs


def test_what_is_wrong_with_one_text_of_a_list_harms_no_other(client: httpx.Client) -> None:
    for place, (model, around, options) in PLACES.items():
        items = [around("late"), around("x" * 1_000_000), around("lost")]
        answer = client.post(f"{model}/predict", json={"inputs": items, "parameters": options})
        body = answered(answer)
        assert (len(body), body[1]["code"]) == (3, "input_too_long"), place
        assert answer.headers["x-item-errors"] == "1"


VALUES: tuple[Any, ...] = (
    True,
    -1,
    10**30,
    1.5,
    1e308,
    "x" * 3000,
    "",
    [],
    [[]],
    {},
    None,
    [10**30],
    {"num_beams": []},
)


def assert_refused_or_answered(client: httpx.Client, asked: Asked, **option: Any) -> None:
    body = {"inputs": asked.inputs, "parameters": {**asked.parameters, **option}}
    answer = client.post(f"{asked.model}/predict", json=body)
    if answer.status_code == 200:
        answered(answer)
    else:
        assert refused(answer)[0] in (413, 422), option
        assert "xxx" not in answer.text, option


@pytest.mark.parametrize("task", TEXT_TASKS)
def test_odd_values_of_options_are_refused_or_have_a_meaning(client: httpx.Client, task: str) -> None:
    for name in task_class(task).Parameters.model_fields:
        for value in VALUES:
            assert_refused_or_answered(client, REQUESTS[task], **{name: value})


@pytest.mark.parametrize("name", [*Generation.model_fields, "do_sample"])
def test_odd_values_of_options_of_the_search_are_refused_or_have_a_meaning(client: httpx.Client, name: str) -> None:
    for value in VALUES:
        assert_refused_or_answered(client, Asked("deutsch", "big"), generate_parameters={name: value})


@pytest.mark.parametrize("task", TEXT_TASKS)
def test_options_that_there_are_not_and_numbers_that_are_none_are_named(client: httpx.Client, task: str) -> None:
    asked = REQUESTS[task]
    for option in ({"temprature": 1}, {"__class__": "x"}, {"": 1}, {"é" * 5000: 1}):
        body = {"inputs": asked.inputs, "parameters": {**asked.parameters, **option}}
        assert refused(client.post(f"{asked.model}/predict", json=body)) == (422, "unknown_field")
    for number in (b"NaN", b"-Infinity", b"1e999"):
        content = b'{"inputs": %s, "parameters": {"top_k": %s}}' % (json.dumps(asked.inputs).encode(), number)
        answer = client.post(f"{asked.model}/predict", content=content, headers={"content-type": "application/json"})
        assert refused(answer) == (422, "invalid_number")
    for parameters in ([], "top_k", 5, [["top_k", 1]]):
        answer = client.post(f"{asked.model}/predict", json={"inputs": asked.inputs, "parameters": parameters})
        assert refused(answer)[0] == 422
