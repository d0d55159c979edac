"""The official OpenAI client, unchanged, against a real server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from tests.api.live import Live
from tests.api.test_files import CSV


@pytest.fixture(scope="session")
def official(live: Live) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{live.url}/v1/", api_key="none", max_retries=0) as client:
        yield client


def test_models(official: openai.OpenAI) -> None:
    assert {"minilm", "tickets", "bert-base"} <= {model.id for model in official.models.list()}
    assert official.models.retrieve("tickets").owned_by == "local"
    with pytest.raises(openai.NotFoundError) as caught:
        official.models.retrieve("none")
    assert caught.value.code == "model_not_found"
    assert caught.value.request_id
    with pytest.raises(openai.UnprocessableEntityError):
        official.models.retrieve("a/b")


def test_embeddings_arrive_as_numbers(official: openai.OpenAI) -> None:
    answer = official.embeddings.create(model="minilm", input=["ab", "a b c"])
    assert [item.embedding for item in answer.data] == [[2.0, 1.0, 0.5], [5.0, 3.0, 0.5]]
    assert answer.usage.total_tokens == 7
    numbers = official.embeddings.create(model="minilm", input="ab", encoding_format="float")
    assert numbers.data[0].embedding == [2.0, 1.0, 0.5]
    with pytest.raises(openai.BadRequestError):
        official.embeddings.create(model="minilm", input=[])


def test_files(official: openai.OpenAI, tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_bytes(CSV)
    with path.open("rb") as stream:
        stored = official.files.create(file=stream, purpose="fine-tune")
    assert (stored.filename, stored.status, stored.bytes) == ("train.csv", "processed", len(CSV))
    assert official.files.wait_for_processing(stored.id).status == "processed"
    assert official.files.content(stored.id).read() == CSV
    assert stored.id in [item.id for item in official.files.list(purpose="fine-tune")]
    assert official.files.delete(stored.id).deleted is True
    with pytest.raises(openai.NotFoundError):
        official.files.retrieve(stored.id)


def test_a_bad_file_is_explained(official: openai.OpenAI) -> None:
    with pytest.raises(openai.UnprocessableEntityError) as caught:
        official.files.create(file=("a.csv", b"text,label\na,b\n"), purpose="fine-tune")
    assert caught.value.code == "invalid_dataset"
    assert isinstance(caught.value.body, dict)


def test_fine_tuning_jobs(official: openai.OpenAI, live: Live) -> None:
    stored = official.files.create(file=("train.csv", CSV), purpose="fine-tune")
    job = official.fine_tuning.jobs.create(
        model="minilm",
        training_file=stored.id,
        suffix="my-tickets",
        seed=3,
        metadata={"team": "a"},
        method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2}}},
        extra_body={"lora_rank": 4},
    )
    assert (job.status, job.seed, job.hyperparameters.n_epochs) == ("queued", 3, 2)
    assert official.fine_tuning.jobs.retrieve(job.id).id == job.id
    by_team = [found.id for found in official.fine_tuning.jobs.list(limit=1, metadata={"team": "a"})]
    assert job.id in by_team
    assert len(by_team) == len(set(by_team))
    events = list(official.fine_tuning.jobs.list_events(job.id, limit=1))
    assert {event.object for event in events} == {"fine_tuning.job.event"}
    assert list(official.fine_tuning.jobs.checkpoints.list(job.id)) == []
    assert official.fine_tuning.jobs.cancel(job.id).status == "cancelled"
    with pytest.raises(openai.BadRequestError):
        official.fine_tuning.jobs.pause(job.id)


def test_a_repeat_with_an_idempotency_key_is_the_same_job(official: openai.OpenAI) -> None:
    stored = official.files.create(file=("train.csv", CSV), purpose="fine-tune")
    headers = {"Idempotency-Key": "openai-1"}
    ids = {
        official.fine_tuning.jobs.create(model="minilm", training_file=stored.id, extra_headers=headers).id
        for _ in range(2)
    }
    assert len(ids) == 1


def test_an_event_stream_is_read_by_the_clients_own_decoder(official: openai.OpenAI) -> None:
    stored = official.files.create(file=("train.csv", CSV), purpose="fine-tune")
    job = official.fine_tuning.jobs.create(model="minilm", training_file=stored.id)
    threading.Timer(0.2, official.fine_tuning.jobs.cancel, [job.id]).start()
    stream = official.get(
        f"/fine_tuning/jobs/{job.id}/events",
        cast_to=object,
        options={"params": {"stream": "true"}},
        stream=True,
        stream_cls=openai.Stream[dict[str, object]],
    )
    events = list(stream)
    assert events


def test_errors_are_the_clients_own_classes(official: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as unknown:
        official.fine_tuning.jobs.retrieve("ftjob-none")
    assert unknown.value.type == "invalid_request_error"
    with pytest.raises(openai.NotFoundError) as file_missing:
        official.fine_tuning.jobs.create(model="minilm", training_file="file-none")
    assert (file_missing.value.code, file_missing.value.param) == ("file_not_found", "training_file")
