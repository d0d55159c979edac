from __future__ import annotations

import importlib
import inspect
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_group
from typer.testing import CliRunner, Result

from api.cli import COMMANDS, app
from api.commands import checks
from tests.api.canned_service import LISTED, OFFERED, TICKETS, CannedService, canned_service
from zoo.settings import Settings


@pytest.fixture
def service() -> Iterator[CannedService]:
    with canned_service() as running:
        yield running


def zoo(*words: str) -> Result:
    return CliRunner(env={"ZOO_HOME": "/nonexistent"}).invoke(app, list(words))


def loaded_after(code: str) -> set[str]:
    words = [sys.executable, "-c", code + "; import sys; print(' '.join(sys.modules), file=sys.stderr)"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def test_help_loads_neither_web_server_nor_models_nor_settings() -> None:
    code = "import sys; sys.argv = ['zoo', '--help']; import api.cli; "
    code += "import contextlib\nwith contextlib.suppress(SystemExit):\n  api.cli.main()\n"
    words = [sys.executable, "-c", code + "print(' '.join(sys.modules), file=sys.stderr)"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    assert "doctor" in done.stdout
    heavy = {"fastapi", "onnxruntime", "torch", "transformers", "redis", "httpx", "pydantic", "zoo.settings"}
    assert "api.cli" in loaded and not loaded & heavy


@pytest.mark.parametrize("module", sorted({listed.module for listed in COMMANDS.values()}))
def test_a_command_that_calls_a_service_loads_no_model_code(module: str) -> None:
    loaded = loaded_after(f"import api.commands.{module}")
    assert not loaded & {"fastapi", "uvicorn", "onnxruntime", "torch", "transformers", "redis", "rq"}


@pytest.mark.parametrize("name", COMMANDS)
def test_each_listed_line_is_the_first_of_the_commands_own_help(name: str) -> None:
    module = importlib.import_module(f"api.commands.{COMMANDS[name].module}")
    help_text = inspect.cleandoc(get_group(module.app).commands[name].help or "")
    assert " ".join(help_text.split("\n\n")[0].split()) == COMMANDS[name].line


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_json(name: str) -> None:
    result = zoo(name, "--help")
    assert result.exit_code == 0
    assert "--json" in result.stdout


def test_no_command_shows_the_help() -> None:
    result = zoo()
    assert result.exit_code == 0
    assert "demo" in result.stdout


def test_the_version_is_printed() -> None:
    assert zoo("--version").stdout.startswith("zoo 0.")


def test_a_mistyped_command_gets_the_nearest_one_in_one_line() -> None:
    result = zoo("modls")
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1 and "Did you mean 'models'" in result.stderr


def test_an_unknown_option_is_one_line() -> None:
    result = zoo("models", "--xyzzy")
    assert result.exit_code == 2
    assert result.stderr == "error: No such option: --xyzzy. See `zoo models --help`.\n"


def test_serve_offers_every_setting_with_its_description_and_default() -> None:
    result = CliRunner(env={"COLUMNS": "400"}).invoke(app, ["serve", "--help"])
    shown = " ".join(result.stdout.split())
    for name, field in Settings.model_fields.items():
        if name != "url":
            assert "--" + name.replace("_", "-") in shown
            assert f"ZOO_{name.upper()}" in shown
            assert (field.description or "?").split("`")[0].strip() in shown
    assert "default 8000" in shown


def test_serve_passes_flags_over_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    served: list[Settings] = []
    fake(monkeypatch, "api.serving", serve=served.append)
    monkeypatch.setenv("ZOO_PORT", "7000")
    monkeypatch.setenv("ZOO_THREADS", "3")
    result = zoo("serve", "--home", str(tmp_path), "--port", "7001", "--allow-anonymous", "--drain-seconds", "2.5")
    assert result.exit_code == 0, result.output
    [settings] = served
    assert (settings.port, settings.threads, settings.allow_anonymous) == (7001, 3, True)
    assert (settings.home, settings.drain_seconds) == (tmp_path, 2.5)


def test_an_empty_flag_overrides_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[Settings] = []
    fake(monkeypatch, "api.serving", serve=served.append)
    monkeypatch.setenv("ZOO_REDIS_URL", "redis://elsewhere")
    zoo("serve", "--redis-url", "")
    assert served[0].redis_url == ""


def test_a_status_of_the_service_is_that_of_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    fake(monkeypatch, "api.serving", serve=lambda settings: 75)
    assert zoo("serve").exit_code == 75


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--port", "many"], "setting port (--port or ZOO_PORT)"),
        (["--port", "70000"], "setting port"),
        (["--log-level", "loud"], "setting log_level"),
        (["--max-rows", "0"], "setting max_rows"),
    ],
)
def test_a_bad_setting_is_one_line_that_names_it(flags: list[str], named: str) -> None:
    result = zoo("serve", *flags)
    assert result.exit_code == 78
    assert result.stderr.startswith(f"error: {named}") and result.stderr.count("\n") == 1


def test_a_bad_setting_of_the_environment_is_named_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_LEASE_SECONDS", "soon")
    result = zoo("models")
    assert result.exit_code == 78
    assert "ZOO_LEASE_SECONDS" in result.stderr


@pytest.mark.parametrize("key", ["schl\u00fcssel", "two\nlines", "\udcff"])
def test_a_key_that_no_header_can_carry_is_a_fault_of_the_setting(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("ZOO_API_KEY", key)
    result = zoo("models", "--url", "http://127.0.0.1:1")
    assert result.exit_code == 78
    assert "ZOO_API_KEY" in result.stderr and result.stderr.count("\n") == 1
    assert key not in result.stderr


@pytest.mark.parametrize("words", [["show", "\udcff"], ["models", "--search", "\udcff"], ["alias", "m", "\udcff", "1"]])
def test_an_argument_that_is_not_utf8_is_bad_data(service: CannedService, words: list[str]) -> None:
    result = zoo(*words, "--url", service.url)
    assert (result.exit_code, service.calls) == (65, [])
    assert result.stderr == "error: a name or text that was given is not UTF-8; write it in UTF-8\n"


def test_a_worker_needs_a_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    result = zoo("worker", "--redis-url", "")
    assert result.exit_code == 78
    assert "ZOO_REDIS_URL" in result.stderr


def test_a_worker_runs_on_the_redis_given(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[tuple[str, bool]] = []

    def run_worker(url: str, settings: Settings) -> int:
        started.append((url, settings.redis_url == url))
        return 0

    fake(monkeypatch, "adapters.queue.worker", run_worker=run_worker)
    assert zoo("worker", "--redis-url", "redis://here").exit_code == 0
    assert started == [("redis://here", True)]


def test_a_worker_that_cannot_train_takes_no_jobs_from_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def run_worker(url: str, settings: Settings) -> int:
        raise AssertionError("it was started")

    fake(monkeypatch, "adapters.queue.worker", run_worker=run_worker)
    monkeypatch.setattr(checks, "TRAINING_LIBRARIES", ("json", "no_such_module"))
    result = zoo("worker", "--redis-url", "redis://here")
    assert result.exit_code == 78
    assert "no_such_module" in result.stderr and "adaptzoo[train]" in result.stderr


def test_models_lists_what_is_ready_first(service: CannedService) -> None:
    service.says("GET", "/v1/models", {"data": [OFFERED, LISTED]})
    result = zoo("models", "--url", service.url)
    assert result.exit_code == 0
    assert result.stdout.index("minilm") < result.stdout.index("distilbert")
    assert "zoo pull NAME" in result.stderr


def test_models_filters_by_task_modality_and_words(service: CannedService) -> None:
    service.says("GET", "/v1/models", {"data": []})
    zoo("models", "--url", service.url, "--task", "fill-mask", "--modality", "text", "--search", "small bert")
    assert service.calls[0].path == "/v1/models?task=fill-mask&modality=text&q=small+bert"


def test_json_is_the_services_own_and_alone_on_stdout(service: CannedService) -> None:
    service.says("GET", "/v1/models", {"data": [OFFERED]})
    result = zoo("models", "--url", service.url, "--json")
    assert json.loads(result.stdout) == [OFFERED]


def test_show_tells_metrics_parity_lineage_and_files(service: CannedService) -> None:
    service.says("GET", "/v1/models/tickets", TICKETS)
    shown = zoo("show", "tickets", "--url", service.url).stdout
    for part in ("tickets@1", "minilm@1", "billing", "0.950", "0.900", "4.1e-06", "100.0%", "ftjob-1", "90.0 MB"):
        assert part in shown


def test_show_json_is_the_model_object(service: CannedService) -> None:
    service.says("GET", "/v1/models/tickets@1", TICKETS)
    assert json.loads(zoo("show", "tickets@1", "--json", "--url", service.url).stdout) == TICKETS


def test_an_unknown_model_is_bad_data_with_the_services_hint(service: CannedService) -> None:
    service.refuses("GET", "/v1/models/minlm", 404, "model_not_found", "Did you mean minilm?")
    result = zoo("show", "minlm", "--url", service.url)
    assert result.exit_code == 65
    assert result.stderr == "error: Did you mean minilm?\n"


def test_with_json_a_failure_is_json_on_stdout_too(service: CannedService) -> None:
    service.refuses("GET", "/v1/models/minlm", 404, "model_not_found", "Did you mean minilm?")
    result = zoo("show", "minlm", "--json", "--url", service.url)
    assert json.loads(result.stdout) == {"error": {"message": "Did you mean minilm?", "code": "model_not_found"}}


@pytest.mark.parametrize(("status", "code"), [(401, 78), (429, 75), (503, 75), (500, 1), (422, 65)])
def test_exit_codes_tell_kinds_of_failure_apart(service: CannedService, status: int, code: int) -> None:
    service.refuses("GET", "/v1/models", status, "code", "Words.")
    assert zoo("models", "--url", service.url).exit_code == code


@pytest.mark.parametrize(
    "words",
    [
        ["models"],
        ["show", "m"],
        ["pull", "m"],
        ["predict", "m", "text"],
        ["report", "file-1"],
        ["adapt", "m", "file-1", "--name", "n"],
        ["jobs"],
        ["cancel", "ftjob-1"],
        ["retry", "ftjob-1"],
        ["alias", "m", "live", "1"],
        ["delete", "m", "--yes"],
    ],
)
def test_without_a_service_every_command_says_so(words: list[str]) -> None:
    result = zoo(*words, "--url", "http://127.0.0.1:1")
    assert result.exit_code == 69
    assert result.stderr == "error: no service at http://127.0.0.1:1; start one with `zoo serve`\n"


def test_an_alias_is_set(service: CannedService) -> None:
    service.says("PUT", "/v1/models/tickets/aliases/live", {"id": "tickets", "aliases": {"live": 2}})
    result = zoo("alias", "tickets", "live", "2", "--url", service.url)
    assert result.exit_code == 0
    assert service.calls[0].json() == {"version": 2}


def test_delete_does_not_act_unasked_where_nobody_can_answer(service: CannedService) -> None:
    result = zoo("delete", "tickets@1", "--url", service.url)
    assert result.exit_code == 65 and "--yes" in result.stderr
    assert service.calls == []


def test_delete_with_yes_removes_the_version(service: CannedService) -> None:
    service.says("DELETE", "/v1/models/tickets@1", {"id": "tickets@1", "deleted": True})
    assert zoo("delete", "tickets@1", "--yes", "--url", service.url).exit_code == 0
    assert len(service.asked("DELETE", "/v1/models/tickets@1")) == 1


def test_control_characters_of_a_name_do_not_reach_the_terminal(service: CannedService) -> None:
    service.says("GET", "/v1/models", {"data": [LISTED | {"licence": "\x1b[2Jgone"}]})
    assert "\x1b[2J" not in zoo("models", "--url", service.url).stdout


def fake(monkeypatch: pytest.MonkeyPatch, module: str, **members: Any) -> None:
    """Stand in for a module that a command imports when it runs."""
    package, _, name = module.rpartition(".")
    made = type(sys)(module)
    for member, value in members.items():
        setattr(made, member, value)
    monkeypatch.setitem(sys.modules, module, made)
    monkeypatch.setattr(importlib.import_module(package), name, made, raising=False)
