"""The whole service as a user runs it: `zoo serve` with its own Redis and worker, real training, official clients."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import openai
import pytest
from huggingface_hub import InferenceClient

from tests.conftest import TinyZoo
from tests.tiny import LABELS, rows, write_csv
from zoo.catalogue.store import Store

SECONDS = 90


@dataclass(frozen=True)
class Service:
    """A running `zoo serve`."""

    url: str
    home: Path
    process: subprocess.Popen[str]


@contextmanager
def started(home: Path) -> Iterator[Service]:
    """`zoo serve` on a free port; ends by SIGTERM, in good order."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ZOO_")}
    command = [sys.executable, "-m", "api.cli", "serve", "--port", "0", "--home", str(home), "--worker-threads", "1"]
    with (home / "log.txt").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
    with process:
        assert process.stdout is not None
        announced = next((line for line in process.stdout if "http://" in line), "")
        assert announced, (home / "log.txt").read_text()
        yield Service(announced.split()[-1], home, process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


@pytest.fixture(scope="module")
def service(tiny_zoo: TinyZoo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    home = tmp_path_factory.mktemp("service") / "home"
    shutil.copytree(tiny_zoo.home, home)
    with started(home) as running:
        yield running


@pytest.fixture(scope="module")
def official(service: Service) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{service.url}/v1", api_key="none", max_retries=0) as client:
        yield client


def upload(official: openai.OpenAI, folder: Path, count: int) -> str:
    with write_csv(folder / "tickets.csv", rows(count)).open("rb") as file:
        return official.files.create(file=file, purpose="fine-tune").id


def finished(official: openai.OpenAI, job: str) -> openai.types.fine_tuning.FineTuningJob:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        found = official.fine_tuning.jobs.retrieve(job)
        if found.status in ("succeeded", "failed", "cancelled"):
            return found
        time.sleep(0.2)
    raise AssertionError(f"{job} did not end: {found}")


def test_the_official_client_adapts_a_model_and_two_clients_use_it(
    service: Service, official: openai.OpenAI, tmp_path: Path
) -> None:
    file = upload(official, tmp_path, 300)
    job = official.fine_tuning.jobs.create(
        model="mini",
        training_file=file,
        suffix="tickets",
        seed=5,
        metadata={"team": "support"},
        extra_body={"task": "text-classification", "learning_rate": 0.01, "n_epochs": 6, "batch_size": 8},
    )
    assert job.status in ("validating_files", "queued")
    done = finished(official, job.id)
    assert done.status == "succeeded", done.error
    assert (done.fine_tuned_model, done.seed) == ("tickets@1", 5)
    assert done.trained_tokens and done.finished_at
    assert official.files.content(done.result_files[0]).text.startswith("step,valid_loss,valid_accuracy")
    events = [event.message for event in official.fine_tuning.jobs.list_events(job.id)]
    assert any("Published tickets@1" in message for message in events)
    checkpoints = list(official.fine_tuning.jobs.checkpoints.list(job.id))
    assert [point.step_number for point in checkpoints] == [174, 145, 116, 87, 58, 29]
    assert official.models.retrieve("tickets").id == "tickets"

    client = InferenceClient(model=f"{service.url}/models/tickets")
    answers = client.text_classification("please help my parcel was lost")
    assert {answer.label for answer in answers} == set(LABELS)
    fresh = [pair for pair in rows(20, seed=99) if pair not in rows(300)]
    right = [client.text_classification(text, top_k=1)[0].label == label for text, label in fresh]
    assert sum(right) >= 0.7 * len(fresh)  # a guess is right once in three times
    vector = InferenceClient(model=f"{service.url}/models/mini").feature_extraction("my parcel")
    assert vector.shape == (1, 32)
    embedded = official.embeddings.create(model="mini", input=["my parcel", "the price"])
    assert [len(item.embedding) for item in embedded.data] == [32, 32]
    assert embedded.data[0].embedding == pytest.approx(vector[0].tolist(), abs=1e-6)


@pytest.mark.chaos
def test_training_goes_on_after_its_process_is_killed_and_publishes_once(
    service: Service, official: openai.OpenAI, tmp_path: Path
) -> None:
    file = upload(official, tmp_path, 300)
    options = {"learning_rate": 0.003, "n_epochs": 20, "batch_size": 8}
    job = official.fine_tuning.jobs.create(model="mini", training_file=file, suffix="survivor", extra_body=options)
    wait_for_checkpoint(official, job.id)
    os.kill(training_process(service), signal.SIGKILL)
    done = finished(official, job.id)
    assert done.status == "succeeded", done.error
    events = [event.message for event in official.fine_tuning.jobs.list_events(job.id)]
    assert any(message.startswith("Resumed from step ") for message in events), events
    assert Store(service.home).versions("survivor") == [1]


def test_a_running_job_is_cancelled_within_ten_seconds(
    service: Service, official: openai.OpenAI, tmp_path: Path
) -> None:
    options = {"n_epochs": 100, "batch_size": 1}
    file = upload(official, tmp_path, 200)
    job = official.fine_tuning.jobs.create(model="mini", training_file=file, suffix="stopped", extra_body=options)
    wait_for_checkpoint(official, job.id)
    official.fine_tuning.jobs.cancel(job.id)
    asked = time.monotonic()
    while official.fine_tuning.jobs.retrieve(job.id).status != "cancelled":
        assert time.monotonic() - asked < 10
        time.sleep(0.1)
    assert Store(service.home).versions("stopped") == []
    # the second time it is the same answer; a finished job is refused without a retry by the client
    assert httpx.post(f"{service.url}/v1/fine_tuning/jobs/{job.id}/cancel").status_code == 202


def test_cancelling_a_finished_job_is_refused(service: Service, official: openai.OpenAI, tmp_path: Path) -> None:
    options = {"n_epochs": 1}
    file = upload(official, tmp_path, 60)
    job = official.fine_tuning.jobs.create(model="mini", training_file=file, suffix="ended", extra_body=options)
    assert finished(official, job.id).status == "succeeded"
    answer = httpx.post(f"{service.url}/v1/fine_tuning/jobs/{job.id}/cancel")
    assert (answer.status_code, answer.json()["code"]) == (409, "job_terminal")
    assert answer.headers["x-should-retry"] == "false"


def wait_for_checkpoint(official: openai.OpenAI, job: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not official.fine_tuning.jobs.checkpoints.list(job).data:
        found = official.fine_tuning.jobs.retrieve(job)
        assert found.status in ("queued", "running"), found
        assert time.monotonic() < deadline, "no checkpoint yet"
        time.sleep(0.05)


def training_process(service: Service) -> int:
    """The process that trains: the worker's child, which is the service's grandchild."""
    children = subprocess.run(
        ["ps", "-o", "pid=,ppid=,args=", "-A"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    table = [(int(line.split()[0]), int(line.split()[1])) for line in children]
    sons = [pid for pid, parent in table if parent == service.process.pid]
    (found,) = [pid for pid, parent in table if parent in sons]
    return found
