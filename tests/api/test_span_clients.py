"""Entities and answers through `huggingface_hub`, unchanged, against a real server with real models."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError

from api.app import build
from tests.api.live import serving
from tests.imports import Imports
from tests.tiny_spans import TAGS, write_tokens_checkpoint
from zoo.settings import Settings

TEXT = "my parcel was late again, said Angela of the U.S. today"


@pytest.fixture(scope="module")
def url(imports: Imports, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service with the tagger ``names`` and the reader ``manual``."""
    home = tmp_path_factory.mktemp("home")
    settings = Settings(_env_file=None, home=home, redis_url="", threads=1, worker_threads=1)
    folders = tmp_path_factory.mktemp("checkpoints")
    write_tokens_checkpoint(folders / "names", kind="distilbert", labels=TAGS)
    write_tokens_checkpoint(folders / "manual", kind="distilbert", answers=True)
    for name in ("names", "manual"):
        imports.bring(home, name, folders / name)
    with serving(build(settings), settings) as (_, port):
        yield f"http://127.0.0.1:{port}/models"


def client(url: str, name: str) -> InferenceClient:
    return InferenceClient(model=f"{url}/{name}", token="none")


def test_entities_come_with_their_places(url: str) -> None:
    found = client(url, "names").token_classification(TEXT)
    assert found and all(one.entity_group in ("PER", "ORG", "LOC") and one.entity is None for one in found)
    assert all(TEXT[one.start : one.end] and 0 <= one.score <= 1 for one in found)


@pytest.mark.parametrize("strategy", ["none", "simple", "first", "average", "max"])
def test_every_option_is_taken(url: str, strategy: str) -> None:
    found = client(url, "names").token_classification(
        TEXT * 3,
        aggregation_strategy=strategy,
        ignore_labels=["O", "PER"],
        stride=4,
    )
    assert found and all((one.entity is None) == (strategy != "none") for one in found)
    assert not any(one.entity_group == "PER" for one in found)


def test_an_answer_stands_in_the_context(url: str) -> None:
    one = client(url, "manual").question_answering("why late?", TEXT)
    assert TEXT[one.start : one.end] == one.answer


def test_several_answers_are_a_list(url: str) -> None:
    found = client(url, "manual").question_answering(
        question="why late?",
        context=TEXT,
        top_k=3,
        doc_stride=5,
        max_answer_len=4,
        max_question_len=8,
        max_seq_len=30,
        handle_impossible_answer=False,
        align_to_words=True,
    )
    assert isinstance(found, list) and len(found) == 3


def test_a_fault_is_told_in_words(url: str) -> None:
    with pytest.raises(HfHubHTTPError) as caught:
        client(url, "manual").text_classification("why late?")
    assert '"question" and "context"' in str(caught.value.server_message)
