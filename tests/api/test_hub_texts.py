"""The official Hugging Face client, unchanged, asks models of texts that were imported as users import theirs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial

import httpx
import numpy as np
import pytest
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError

from api.app import build
from tests.api.live import serving
from tests.conftest import TinyZoo
from tests.imports import Imports
from tests.tiny_language import write_classifier, write_filler
from tests.zoo.tasks.language_zoo import LanguageZoo
from zoo.settings import Settings


@pytest.fixture(scope="module")
def url(imports: Imports, tiny_zoo: TinyZoo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service with an encoder (``mini``), a model of entailment (``nli``) and one that fills gaps (``filler``)."""
    home = tmp_path_factory.mktemp("texts") / "home"
    shutil.copytree(tiny_zoo.home, home)
    models = LanguageZoo(imports, home, tmp_path_factory.mktemp("text-checkpoints"))
    models.model("nli", partial(write_classifier, kind="distilbert"))
    models.model("filler", partial(write_filler, kind="distilbert"))
    settings = Settings(_env_file=None, home=home, threads=1, drain_seconds=2.0)
    with serving(build(settings), settings) as (_, port):
        yield f"http://127.0.0.1:{port}"


def client_of(url: str, model: str) -> InferenceClient:
    return InferenceClient(model=f"{url}/models/{model}", token="none")


def test_text_classification(url: str) -> None:
    answer = client_of(url, "nli").text_classification("my parcel", top_k=2, function_to_apply="sigmoid")
    assert len(answer) == 2
    assert answer[0].score >= answer[1].score


def test_a_pair_goes_to_the_same_address(url: str) -> None:
    pair = {"inputs": {"text": "my parcel", "text_pair": "the courier"}}
    answer = httpx.post(f"{url}/models/nli", json=pair, trust_env=False, timeout=60).json()
    assert {one["label"] for one in answer[0]} == {"contradiction", "entailment", "neutral"}


def test_zero_shot_classification(url: str) -> None:
    client = client_of(url, "nli")
    answer = client.zero_shot_classification(
        "my parcel is late", candidate_labels=["delivery", "payment"], hypothesis_template="It is {}."
    )
    assert {one.label for one in answer} == {"delivery", "payment"}
    assert sum(one.score for one in answer) == pytest.approx(1.0, abs=1e-5)
    several = client.zero_shot_classification("late", candidate_labels=["delivery", "payment"], multi_label=True)
    assert all(0 < one.score < 1 for one in several)


def test_fill_mask(url: str) -> None:
    client = client_of(url, "filler")
    answer = client.fill_mask("my parcel was [MASK] again", top_k=3)
    assert len(answer) == 3
    assert answer[0].sequence == f"my parcel was {answer[0].token_str} again"
    chosen = client.fill_mask("my parcel was [MASK] again", targets=["late", "lost"])
    assert {one.token_str for one in chosen} == {"late", "lost"}


def test_sentence_similarity_and_vectors_of_one_model(url: str) -> None:
    client = client_of(url, "mini")
    alike = client.sentence_similarity("my parcel", other_sentences=["the courier", "my parcel"])
    vectors = client.feature_extraction(["my parcel", "the courier"], normalize=True)
    assert alike == pytest.approx([float(np.dot(vectors[0], vectors[1])), 1.0], abs=1e-5)


@pytest.mark.parametrize(
    ("model", "ask", "said"),
    [
        ("filler", lambda client: client.fill_mask("no gap"), r"\[MASK\]"),
        ("nli", lambda client: client.zero_shot_classification("late", candidate_labels=[" "]), "candidate_labels"),
        ("nli", lambda client: client.sentence_similarity("late", other_sentences=["lost"]), "text_pair"),
        ("mini", lambda client: client.sentence_similarity("late", other_sentences=[]), "at least one"),
        ("mini", lambda client: client.zero_shot_classification("late", candidate_labels=["a"]), "not an option"),
    ],
    ids=["no-gap", "blank-label", "wrong-form", "nothing", "wrong-task"],
)
def test_what_cannot_be_answered_is_told_in_words(url: str, model: str, ask: object, said: str) -> None:
    with pytest.raises(HfHubHTTPError) as caught:
        ask(client_of(url, model))  # type: ignore[operator]
    assert caught.value.response.status_code == 422
    assert caught.match(said)
