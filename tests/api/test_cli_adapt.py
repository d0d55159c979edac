from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from api.cli import app
from api.commands import follow
from tests.api.canned_service import (
    FATAL,
    FILE,
    JOB,
    REPORT,
    RUNNING,
    SUCCEEDED,
    TICKETS,
    CannedService,
    canned_service,
)

JOB_PATH = "/v1/jobs/ftjob-1"


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[CannedService]:
    monkeypatch.setattr(follow, "POLL_SECONDS", 0.01)
    monkeypatch.setattr("api.commands.files.POLL_SECONDS", 0.01)
    with canned_service() as running:
        yield running


def zoo(service: CannedService, *words: str) -> Result:
    return CliRunner().invoke(app, [*words, "--url", service.url])


@pytest.fixture
def csv(tmp_path: Path) -> str:
    path = tmp_path / "t.csv"
    path.write_text("text,label\nlate again,billing\n")
    return str(path)


def test_upload_shows_what_is_in_the_file_and_each_problem_with_place_code_and_fix(
    service: CannedService, csv: str
) -> None:
    service.says("POST", "/v1/files", FILE)
    service.says("GET", "/v1/files/file-1/report", REPORT)
    result = zoo(service, "upload", csv)
    assert result.exit_code == 0
    parts = (
        "399 usable of 400",
        "billing",
        "50.0%",
        "line 7, column text",
        "empty_text",
        "Fill it in",
        "2 rows repeat",
    )
    for part in (*parts, "file-1"):
        assert part in result.stdout


def test_upload_json_holds_file_and_report(service: CannedService, csv: str) -> None:
    service.says("POST", "/v1/files", FILE)
    service.says("GET", "/v1/files/file-1/report", REPORT)
    assert json.loads(zoo(service, "upload", csv, "--json").stdout) == {"file": FILE, "report": REPORT}


def test_upload_waits_for_the_worker_that_reads_the_file(service: CannedService, csv: str) -> None:
    service.says("POST", "/v1/files", FILE | {"status": "uploaded"})
    service.says("GET", "/v1/files/file-1", FILE | {"status": "uploaded"}, FILE)
    service.says("GET", "/v1/files/file-1/report", REPORT)
    assert zoo(service, "upload", csv).exit_code == 0
    assert len(service.asked("GET", "/v1/files/file-1")) == 2


def test_a_rejected_file_is_bad_data_and_its_report_is_shown(service: CannedService, csv: str) -> None:
    rejected = {"fatal": FATAL, "problems": [FATAL]}
    service.refuses("POST", "/v1/files", 422, "one_class", "Every row has the same label.", file_id="file-1")
    service.says("GET", "/v1/files/file-1", FILE | {"status": "error"})
    service.says("GET", "/v1/files/file-1/report", REPORT | rejected)
    result = zoo(service, "upload", csv)
    assert result.exit_code == 65
    assert result.stdout.count("one_class") == 1 and "Add rows of a second class." in result.stdout
    assert "cannot be trained on: Every row has the same label." in result.stderr


def test_an_upload_that_was_not_stored_is_one_line(service: CannedService, csv: str) -> None:
    service.refuses("POST", "/v1/files", 413, "body_too_large", "Larger than 200 MB.")
    result = zoo(service, "upload", csv)
    assert result.exit_code == 65 and result.stderr.strip() == "error: Larger than 200 MB."


def test_a_file_that_is_not_there_is_named(service: CannedService) -> None:
    result = zoo(service, "upload", "nowhere.csv")
    assert result.exit_code == 65 and "there is no file nowhere.csv" in result.stderr


def test_a_report_on_scores_has_their_range(service: CannedService) -> None:
    service.says("GET", "/v1/files/file-1", FILE)
    scores = {"min": 0.0, "median": 2.5, "max": 5.0, "distinct": 41}
    service.says("GET", "/v1/files/file-1/report", REPORT | {"classes": [], "scores": scores})
    shown = zoo(service, "report", "file-1").stdout
    assert "median 2.5, least 0, most 5, 41 different" in " ".join(shown.split())


def test_report_of_a_file_that_cannot_be_trained_on_is_bad_data(service: CannedService) -> None:
    service.says("GET", "/v1/files/file-1", FILE)
    service.says("GET", "/v1/files/file-1/report", REPORT | {"fatal": FATAL})
    result = zoo(service, "report", "file-1")
    assert result.exit_code == 65
    assert "one_class" in result.stdout and "the whole file" not in result.stdout


def test_adapt_uploads_creates_the_job_and_follows_it(service: CannedService, csv: str) -> None:
    ready_to_adapt(service)
    result = zoo(service, "adapt", "minilm", csv, "--name", "tickets")
    assert result.exit_code == 0
    assert service.asked("POST", "/v1/fine_tuning/jobs")[0].json() == {
        "model": "minilm",
        "suffix": "tickets",
        "training_file": "file-1",
    }
    assert "tickets@1 is ready" in result.stdout and "0.950" in result.stdout


def test_adapt_takes_the_id_of_an_upload(service: CannedService) -> None:
    ready_to_adapt(service)
    zoo(service, "adapt", "minilm", "file-7", "--name", "tickets", "--detach")
    assert service.calls[0].json()["training_file"] == "file-7"
    assert len(service.calls) == 1


def test_adapt_passes_columns_seed_task_and_hyperparameters(service: CannedService) -> None:
    ready_to_adapt(service)
    flags = ["--columns", "text=body, label=intent", "--seed", "7", "--task", "text-classification"]
    flags += ["--precision", "int8"]
    training = ["--epochs", "3", "--learning-rate", "2e-4", "--rank", "8", "--target-modules", "query,value"]
    zoo(service, "adapt", "minilm", "file-1", "--name", "t", *flags, *training, "--batch-size", "auto", "--detach")
    body = service.calls[0].json()
    assert body["columns"] == {"text": "body", "label": "intent"}
    assert (body["seed"], body["task"], body["precision"]) == (7, "text-classification", "int8")
    assert body["hyperparameters"] == {
        "n_epochs": 3,
        "batch_size": "auto",
        "learning_rate": 0.0002,
        "lora_rank": 8,
        "target_modules": ["query", "value"],
    }


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--epochs", "0"], "--n-epochs"),
        (["--rank", "big"], "--lora-rank"),
        (["--learning-rate", "7"], "--learning-rate"),
        (["--columns", "body"], "--columns"),
    ],
)
def test_adapt_names_the_bad_option_before_anything_is_sent(
    service: CannedService, flags: list[str], named: str
) -> None:
    result = zoo(service, "adapt", "minilm", "file-1", "--name", "t", *flags)
    assert result.exit_code == 65
    assert named in result.stderr and result.stderr.count("\n") == 1
    assert service.calls == []


def ready_to_adapt(service: CannedService) -> None:
    service.says("POST", "/v1/files", FILE)
    service.says("POST", "/v1/fine_tuning/jobs", JOB)
    service.says("GET", JOB_PATH, RUNNING, SUCCEEDED)
    service.says("GET", "/v1/models/tickets@1", TICKETS)
