"""token-classification answers what transformers' own pipeline answers: labels, tokens, places, long texts."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import onnx
import pytest
from transformers import pipeline

from adapters import importing
from adapters.jobs import JobKind, JobSpec
from tests.adapters.training.quiet_context import context_for
from tests.conftest import TinyZoo
from tests.imports import Imports
from tests.tiny_spans import KINDS, TAGS, write_tokens_checkpoint
from zoo.catalogue.mapped_graph import mapped_graph
from zoo.engine.attention_fusion import OPERATOR, fused_attention
from zoo.engine.predictor import MODEL_FILE, Predictor
from zoo.errors import InvalidInput, TooLarge

Predictors = Callable[[str], Predictor]
STRATEGIES = ("none", "simple", "first", "average", "max")
TEXTS = [
    "My parcel was late, said Angela Merkel-S. of the U.S.",
    "refund  my card,\nplease! why is the courier not in Z\u00fcrich?",
    "p",
    "it's e\u0301t\u00e9 \u4f60\u597d 12,5 \U0001f600 unprofiled",
]
LONG = "my parcel was late again, the courier of Angela lost the invoice in Z\u00fcrich. " * 5
# transformers says so of each tokenizer that does not mark the middle of words
pytestmark = pytest.mark.filterwarnings("ignore:Tokenizer does not support real words:UserWarning")


@pytest.fixture(scope="module")
def taggers(tmp_path_factory: pytest.TempPathFactory) -> TinyZoo:
    """Shared: look, don't touch. Models are imported when they are first asked for."""
    return TinyZoo(tmp_path_factory.mktemp("taggers"), tmp_path_factory.mktemp("tagger-checkpoints"))


@pytest.fixture(scope="module")
def predictor_of(imports: Imports, taggers: TinyZoo) -> Predictors:
    made: dict[str, Predictor] = {}

    def predictor(kind: str) -> Predictor:
        if kind not in made:
            write_tokens_checkpoint(taggers.checkpoints / kind, kind=kind, labels=TAGS)
            imports.bring(taggers.home, kind, taggers.checkpoints / kind)
            made[kind] = Predictor(taggers.store.entry(kind, 1), taggers.store.folder(kind, 1), threads=1)
        return made[kind]

    return predictor


@pytest.fixture(scope="module")
def pipeline_of(taggers: TinyZoo, predictor_of: Predictors) -> Callable[[str], Any]:
    made: dict[str, Any] = {}

    def reference(kind: str) -> Any:
        if kind not in made:
            predictor_of(kind)
            made[kind] = pipeline("token-classification", model=str(taggers.checkpoints / kind), device="cpu")
        return made[kind]

    return reference


def assert_same(served: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    assert [{**one, "score": 0} for one in served] == [{**one, "score": 0} for one in expected]
    for one, other in zip(served, expected, strict=True):
        assert one["score"] == pytest.approx(float(other["score"]), abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_every_strategy_answers_as_the_pipeline(
    predictor_of: Predictors, pipeline_of: Callable[[str], Any], kind: str
) -> None:
    for strategy in STRATEGIES:
        body: Any = predictor_of(kind).predict(TEXTS, {"aggregation_strategy": strategy}).body
        expected = pipeline_of(kind)(TEXTS, aggregation_strategy=strategy)
        assert sum(map(len, expected)) > 5
        for served, other in zip(body, expected, strict=True):
            assert_same(served, other)


@pytest.mark.parametrize("kind", KINDS)
def test_a_long_text_is_read_in_windows_as_by_the_pipeline(
    predictor_of: Predictors, pipeline_of: Callable[[str], Any], kind: str
) -> None:
    for strategy, stride in (("simple", 0), ("simple", 10), ("first", 23), ("average", 10), ("max", 3)):
        asked = {"aggregation_strategy": strategy, "stride": stride}
        body: Any = predictor_of(kind).predict(LONG, asked).body
        assert_same(body, pipeline_of(kind)(LONG, **asked))
        assert body[-1]["end"] > 300


@pytest.mark.parametrize("kind", KINDS)
def test_every_token_of_a_long_text_is_answered_once(predictor_of: Predictors, kind: str) -> None:
    asked = {"aggregation_strategy": "none", "ignore_labels": []}
    body: Any = predictor_of(kind).predict("\U0001f600 late, Angela! " * 40, asked).body
    assert [token["index"] for token in body] == list(range(1, len(body) + 1))


def test_labels_that_are_ignored_are_left_out(predictor_of: Predictors, pipeline_of: Callable[[str], Any]) -> None:
    for strategy, ignored in (("none", ["B-PER", "O"]), ("simple", ["PER"]), ("simple", [])):
        asked: dict[str, Any] = {"aggregation_strategy": strategy, "ignore_labels": ignored}
        body: Any = predictor_of("bert").predict(TEXTS[0], asked).body
        assert_same(body, pipeline_of("bert")(TEXTS[0], **asked))


@pytest.mark.parametrize("kind", ["bert", "roberta", "deberta-v2"])
def test_places_are_those_of_the_text_that_was_sent(predictor_of: Predictors, kind: str) -> None:
    body: Any = predictor_of(kind).predict(LONG, {"aggregation_strategy": "none", "ignore_labels": []}).body
    spelled = [LONG[one["start"] : one["end"]].strip() for one in body]
    assert "".join(" ".join(spelled).split()) == "".join(LONG.split())  # every character, once, in order


def test_without_a_strategy_tokens_of_one_kind_are_together(predictor_of: Predictors) -> None:
    body: Any = predictor_of("bert").predict(TEXTS[0]).body
    assert body == predictor_of("bert").predict(TEXTS[0], {"aggregation_strategy": "simple"}).body
    assert all(set(one) == {"entity_group", "score", "word", "start", "end"} for one in body)
    assert json.loads(json.dumps(body, allow_nan=False)) == body


def test_no_part_of_a_long_text_is_cut_when_nothing_is_asked(predictor_of: Predictors) -> None:
    prediction = predictor_of("bert").predict(LONG, {"aggregation_strategy": "none", "ignore_labels": []})
    body: Any = prediction.body
    assert prediction.truncated == 0
    assert [one["index"] for one in body] == list(range(1, len(body) + 1))
    assert len(body) > 80


def test_a_list_is_answered_with_a_list_for_each_text(predictor_of: Predictors) -> None:
    alone = [predictor_of("bert").predict(text).body for text in (TEXTS[0], LONG)]
    together: Any = predictor_of("bert").predict([TEXTS[0], "", LONG]).body
    assert together[1]["code"] == "invalid_text"
    for one, other in zip(alone, (together[0], together[2]), strict=True):
        assert_same(other, one)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"aggregation_strategy": "best"}, "parameters.aggregation_strategy"),
        ({"stride": -1}, "parameters.stride"),
        ({"stride": 46}, "parameters.stride"),
        ({"ignore_labels": "O"}, "parameters.ignore_labels"),
        ({"is_split_into_words": True}, "parameters.is_split_into_words"),
    ],
)
def test_an_option_that_makes_no_sense_is_named(predictor_of: Predictors, asked: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        predictor_of("bert").predict(TEXTS[0], asked)
    assert caught.value.param == param


def test_options_sent_as_null_count_as_left_out(predictor_of: Predictors) -> None:
    asked = {"aggregation_strategy": None, "stride": None, "ignore_labels": None}
    assert predictor_of("bert").predict(TEXTS[0], asked).body == predictor_of("bert").predict(TEXTS[0]).body


@pytest.mark.parametrize("text", ["a " * 2000, "x" * 1_000_000])
def test_a_text_of_more_than_64_windows_is_refused(predictor_of: Predictors, text: str) -> None:
    with pytest.raises(TooLarge) as caught:
        predictor_of("bert").predict(text, {"stride": 44})
    assert caught.value.code == "input_too_long"


def test_an_imported_tagger_says_what_it_is(taggers: TinyZoo, predictor_of: Predictors) -> None:
    entry = predictor_of("bert").entry
    assert (entry.task, entry.modality, entry.labels) == ("token-classification", "text", TAGS)
    assert entry.limits == {"max_tokens": 48, "windows": 64}


def test_a_checkpoint_without_a_head_on_tokens_is_refused(taggers: TinyZoo) -> None:
    write_tokens_checkpoint(taggers.checkpoints / "headless")
    source = {"kind": "folder", "path": str(taggers.checkpoints / "headless")}
    spec = JobSpec(kind=JobKind.IMPORT, model="headless", task="token-classification", source=source)
    with pytest.raises(Exception, match="no head for token-classification: import it as feature-extraction"):
        importing.run(context_for(taggers.home, spec, job="import-headless"), taggers.settings)


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
    for strategy in STRATEGIES:
        body: Any = predictor_of(kind).predict(text, {"aggregation_strategy": strategy, "ignore_labels": []}).body
        assert json.loads(json.dumps(body, allow_nan=False)) == body
        assert all(0 <= one["start"] <= one["end"] <= len(text) for one in body)


@pytest.mark.parametrize("kind", KINDS)
def test_attention_of_all_but_deberta_runs_as_one_operator(
    taggers: TinyZoo, predictor_of: Predictors, kind: str
) -> None:
    predictor_of(kind)
    path = taggers.store.folder(kind, 1) / MODEL_FILE
    graph = mapped_graph(path) or path.read_bytes()
    nodes = [node.op_type for node in onnx.load_from_string(fused_attention(graph) or graph).graph.node]
    # DeBERTa's scores have terms of their own for places.
    assert (nodes.count(OPERATOR), nodes.count("Softmax")) == ((0, 1) if kind == "deberta-v2" else (1, 0))
