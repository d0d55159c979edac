from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from api.cli import app
from api.commands import follow
from tests.api.canned_service import (
    FAILED,
    IMPORTED,
    JOB,
    LISTED,
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


def test_watch_follows_to_the_end_and_compares_before_and_after(service: CannedService) -> None:
    service.says("GET", JOB_PATH, JOB, RUNNING, SUCCEEDED)
    service.says("GET", "/v1/models/tickets@1", TICKETS)
    result = zoo(service, "watch", "ftjob-1")
    assert result.exit_code == 0
    assert "tickets@1 is ready" in result.stdout
    assert "0.900" in result.stdout and "0.950" in result.stdout
    assert len(service.asked("GET", JOB_PATH)) == 3


def test_watch_json_prints_only_the_finished_job(service: CannedService) -> None:
    service.says("GET", JOB_PATH, RUNNING, SUCCEEDED)
    service.says("GET", "/v1/models/tickets@1", TICKETS)
    assert json.loads(zoo(service, "watch", "ftjob-1", "--json").stdout) == SUCCEEDED


def test_off_a_terminal_progress_is_a_plain_line_with_stage_step_and_eta(service: CannedService) -> None:
    service.says("GET", JOB_PATH, RUNNING, RUNNING, RUNNING, SUCCEEDED)
    service.says("GET", "/v1/models/tickets@1", TICKETS)
    result = zoo(service, "watch", "ftjob-1")
    assert result.stderr == "  train  3/10  loss 0.5  about 21 s left\n"


def test_a_failed_job_is_status_1_with_its_reason(service: CannedService) -> None:
    service.says("GET", JOB_PATH, FAILED)
    result = zoo(service, "watch", "ftjob-1", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["error"] == {
        "code": "out_of_memory",
        "message": "job ftjob-1 did not succeed: Not enough memory.",
    }


def test_a_cancelled_job_is_status_1(service: CannedService) -> None:
    service.says("GET", JOB_PATH, JOB | {"status": "cancelled"})
    result = zoo(service, "watch", "ftjob-1")
    assert result.exit_code == 1 and "it was cancelled" in result.stderr


def test_watch_waits_for_a_service_that_is_away_for_a_moment(service: CannedService) -> None:
    service.answers["GET", JOB_PATH] = [(503, {"error": "restarting"}), (200, SUCCEEDED)]
    service.says("GET", "/v1/models/tickets@1", TICKETS)
    result = zoo(service, "watch", "ftjob-1")
    assert result.exit_code == 0
    assert "waiting for it" in result.stderr


def test_watch_gives_up_on_a_service_that_stays_away(service: CannedService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "PATIENCE_SECONDS", 0.02)
    service.refuses("GET", JOB_PATH, 503, "queue_unavailable", "No queue.")
    assert zoo(service, "watch", "ftjob-1").exit_code == 75


def test_watch_does_not_wait_for_a_job_that_does_not_exist(service: CannedService) -> None:
    service.refuses("GET", JOB_PATH, 404, "not_found", "No such job.")
    assert zoo(service, "watch", "ftjob-1").exit_code == 65


def test_ctrl_c_leaves_the_job_running_and_says_so(service: CannedService, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("api.commands.follow.time.sleep", interrupt)
    service.says("GET", JOB_PATH, RUNNING)
    result = zoo(service, "watch", "ftjob-1")
    assert result.exit_code == 130
    assert "`zoo watch ftjob-1` follows it, `zoo cancel ftjob-1` ends it" in result.stderr
    assert not service.asked("POST", f"{JOB_PATH}/cancel")


def test_jobs_lists_status_result_and_progress(service: CannedService) -> None:
    service.says("GET", "/v1/fine_tuning/jobs", {"data": [RUNNING, SUCCEEDED, FAILED], "has_more": True})
    result = zoo(service, "jobs", "--limit", "3")
    assert service.calls[0].path == "/v1/fine_tuning/jobs?limit=3"
    for part in ("running", "train  3/10", "tickets@1", "1 min 00 s", "Not enough memory."):
        assert part in result.stdout
    assert "--limit" in result.stderr


def test_jobs_json_is_the_page(service: CannedService) -> None:
    page = {"object": "list", "data": [JOB], "has_more": False}
    service.says("GET", "/v1/fine_tuning/jobs", page)
    assert json.loads(zoo(service, "jobs", "--json").stdout) == page


@pytest.mark.parametrize(("status", "words"), [("cancelled", "is cancelled"), ("running", "will end in a moment")])
def test_cancel_tells_whether_the_job_has_ended(service: CannedService, status: str, words: str) -> None:
    service.says("POST", f"{JOB_PATH}/cancel", JOB | {"status": status})
    assert words in zoo(service, "cancel", "ftjob-1").stdout


def test_retry_queues_again_and_follows(service: CannedService) -> None:
    service.says("POST", "/v1/fine_tuning/jobs/ftjob-1/retry", JOB)
    service.says("GET", JOB_PATH, SUCCEEDED)
    service.says("GET", "/v1/models/tickets@1", TICKETS)
    assert "tickets@1 is ready" in zoo(service, "retry", "ftjob-1").stdout


def test_pull_queues_the_import_and_follows_it(service: CannedService) -> None:
    service.says("POST", "/v1/models", JOB)
    service.says("GET", JOB_PATH, JOB, IMPORTED)
    service.says("GET", "/v1/models/minilm@1", LISTED)
    result = zoo(service, "pull", "minilm")
    assert result.exit_code == 0, result.output
    assert 'minilm@1 is ready; try it with `zoo predict minilm@1 "some text"`' in result.stdout


@pytest.mark.parametrize(
    ("task", "option"),
    [
        ("question-answering", "--context"),
        ("zero-shot-classification", "--labels"),
        ("sentence-similarity", "--source"),
        ("fill-mask", "[MASK]"),
    ],
)
def test_a_model_is_to_be_tried_with_what_it_needs(service: CannedService, task: str, option: str) -> None:
    service.says("POST", "/v1/models", JOB)
    service.says("GET", JOB_PATH, IMPORTED)
    service.says("GET", "/v1/models/minilm@1", {**LISTED, "task": task})
    assert option in zoo(service, "pull", "minilm").stdout


def test_a_model_that_looks_at_pictures_is_to_be_tried_with_one(service: CannedService) -> None:
    service.says("POST", "/v1/models", JOB)
    service.says("GET", JOB_PATH, IMPORTED)
    service.says("GET", "/v1/models/minilm@1", LISTED | {"modality": "image"})
    assert "`zoo predict minilm@1 picture.jpg`" in zoo(service, "pull", "minilm").stdout
    assert service.calls[0].json() == {"id": "minilm"}


def test_pull_detached_returns_at_once(service: CannedService) -> None:
    service.says("POST", "/v1/models", JOB)
    result = zoo(service, "pull", "minilm", "--detach", "--json")
    assert json.loads(result.stdout)["id"] == "ftjob-1"
    assert not service.asked("GET", JOB_PATH)


def test_pull_takes_a_hub_repository_and_a_task(service: CannedService) -> None:
    service.says("POST", "/v1/models", JOB)
    zoo(service, "pull", "mine", "--hub", "me/model", "--revision", "abc", "--task", "fill-mask", "--detach")
    source = {"kind": "hub", "id": "me/model", "revision": "abc"}
    assert service.calls[0].json() == {"id": "mine", "source": source, "task": "fill-mask"}


def test_pull_sends_a_folder_as_absolute_path(service: CannedService, tmp_path: Path) -> None:
    service.says("POST", "/v1/models", JOB)
    zoo(service, "pull", "mine", "--folder", str(tmp_path), "--detach")
    assert service.calls[0].json()["source"] == {"kind": "folder", "path": str(tmp_path)}


ADAPTED = JOB | {"kind": "import", "object": "job", "status": "succeeded", "result": {"model": "mine@1"}}


@pytest.mark.parametrize(
    ("way", "told"),
    [
        ({"served_by": "body", "why": None}, "mine@1 is ready, served by its body; try it with"),
        ({"served_by": "merged", "why": "its head is another"}, "served by its own graph: its head is another; try"),
    ],
)
def test_an_adapter_is_imported_and_it_is_told_how_it_is_served(
    service: CannedService, tmp_path: Path, way: dict[str, object], told: str
) -> None:
    service.says("POST", "/v1/models", JOB)
    service.says("GET", JOB_PATH, JOB, ADAPTED)
    service.says("GET", "/v1/models/mine@1", TICKETS | way)
    flags = ["--model", "minilm", "--name", "mine", "--labels", "red, green", "--task", "text-classification"]
    result = zoo(service, "import-adapter", str(tmp_path), *flags)
    assert result.exit_code == 0, result.output
    assert told in result.stdout
    assert service.calls[0].json() == {
        "id": "mine",
        "base": "minilm",
        "source": {"kind": "folder", "path": str(tmp_path)},
        "task": "text-classification",
        "labels": ["red", "green"],
    }


def test_an_adapter_without_a_name_has_that_of_its_folder(service: CannedService, tmp_path: Path) -> None:
    service.says("POST", "/v1/models", JOB)
    folder = tmp_path / "My Topics (v2)"
    result = zoo(service, "import-adapter", str(folder), "--model", "minilm", "--detach")
    assert "zoo watch ftjob-1" in result.stdout
    assert service.calls[0].json() == {
        "id": "my-topics-v2",
        "base": "minilm",
        "source": {"kind": "folder", "path": str(folder)},
    }


def test_an_adapter_needs_the_model_that_it_was_made_for(service: CannedService, tmp_path: Path) -> None:
    result = zoo(service, "import-adapter", str(tmp_path))
    assert result.exit_code == 2
    assert "--model" in result.stderr


@pytest.mark.parametrize("flags", [["--hub", "a/b", "--folder", "x"], ["--revision", "abc"]])
def test_pull_refuses_sources_that_contradict(service: CannedService, flags: list[str]) -> None:
    assert zoo(service, "pull", "mine", *flags).exit_code == 65
    assert service.calls == []


def test_a_progress_bar_with_steps_and_eta_is_drawn_on_a_terminal() -> None:
    drawn = io.StringIO()
    with follow.display(Console(file=drawn, force_terminal=True, width=120)) as shown:
        shown.show(follow.View.of(RUNNING))
    for part in ("train", "3/10", "about 21 s left"):
        assert part in drawn.getvalue()
