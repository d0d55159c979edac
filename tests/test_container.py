"""The container files: what the images are made of, and that the serve image's install line serves without torch."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped, unused-ignore]

ROOT = Path(__file__).parents[1]
TRAINING = ("torch", "transformers", "peft", "sklearn", "onnx")


@dataclass(frozen=True)
class Stage:
    """One FROM of the Dockerfile with its instructions in order."""

    name: str
    base: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def values(self, keyword: str) -> list[str]:
        return [value for name, value in self.instructions if name == keyword]


def stages() -> dict[str, Stage]:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    found: dict[str, Stage] = {}
    stage: Stage | None = None
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        keyword, _, value = line.strip().partition(" ")
        if keyword == "FROM":
            base, _, name = value.partition(" AS ")
            stage = found[name] = Stage(name, base)
        else:
            assert stage is not None
            stage.instructions.append((keyword, value.strip()))
    return found


def lineage(target: str) -> list[Stage]:
    """A stage and those it is built on, first one first."""
    known, chain = stages(), [target]
    while chain[0] in known:
        chain.insert(0, known[chain[0]].base)
    return [known[name] for name in chain[1:]]


def instructions(target: str, keyword: str) -> list[str]:
    return [value for stage in lineage(target) for value in stage.values(keyword)]


def build_stage(target: str) -> str:
    """The stage whose virtual environment an image gets."""
    (source,) = (value for value in instructions(target, "COPY") if value.startswith("--from="))
    return source.removeprefix("--from=").split()[0]


@pytest.mark.parametrize("target", ["serve", "worker"])
def test_an_image_starts_its_command_itself_so_that_signals_reach_it(target: str) -> None:
    assert [json.loads(value) for value in instructions(target, "ENTRYPOINT")] == [["zoo", target]]
    assert instructions(target, "CMD") == []


@pytest.mark.parametrize("target", ["serve", "worker"])
def test_an_image_runs_as_an_unprivileged_user(target: str) -> None:
    assert instructions(target, "USER") == ["10001:10001"]


@pytest.mark.parametrize("target", ["serve", "worker"])
def test_an_image_keeps_its_state_in_a_volume(target: str) -> None:
    environment = " ".join(instructions(target, "ENV")).split()
    assert "ZOO_HOME=/data" in environment
    assert instructions(target, "VOLUME") == ["/data"]


@pytest.mark.parametrize("target", ["serve", "worker"])
def test_the_health_check_is_a_python_program_that_compiles(target: str) -> None:
    (check,) = instructions(target, "HEALTHCHECK")
    program = json.loads(check.partition("CMD ")[2])
    assert program[:2] == ["python", "-c"]
    compile(program[2], "HEALTHCHECK", "exec")


def test_the_health_check_of_serve_asks_whether_the_process_is_alive() -> None:
    (check,) = instructions("serve", "HEALTHCHECK")
    assert "/livez" in check


def test_a_build_without_a_target_makes_the_small_image() -> None:
    assert list(stages())[-1] == "serve"


def test_the_serve_image_is_installed_without_the_training_extra() -> None:
    installs = [line for line in instructions(build_stage("serve"), "RUN") if "pip install" in line]
    assert len(installs) == 1
    assert installs[0].endswith("/opt/zoo/bin/pip install --no-compile -c constraints.txt .")


def test_the_worker_image_is_installed_with_the_training_extra_and_the_same_pins() -> None:
    *_, last = instructions(build_stage("worker"), "RUN")
    assert last.endswith("/opt/zoo/bin/pip install -c constraints.txt '.[train]'")


def test_what_the_dockerfile_copies_is_let_through_by_dockerignore() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    copies = [value for value in instructions("serve-build", "COPY") if not value.startswith("--from=")]
    sources = {name.rstrip("/") for value in copies for name in value.split()[:-1]}
    assert sources == {name.removeprefix("!").rstrip("/") for name in ignored if name.startswith("!")}
    assert all((ROOT / name).exists() for name in sources)


# ---- deploy/compose.yaml


def services() -> dict[str, Any]:
    composed = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8"))
    found: dict[str, Any] = composed["services"]
    return found


def test_compose_runs_redis_serve_and_worker() -> None:
    assert set(services()) == {"redis", "serve", "worker"}


@pytest.mark.parametrize("name", ["redis", "serve", "worker"])
def test_every_service_is_confined_limited_watched_and_given_time_to_end(name: str) -> None:
    service = services()[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["tmpfs"][0].startswith("/tmp")
    assert service["mem_limit"]
    assert service["healthcheck"]["test"][0] == "CMD"
    assert service["stop_grace_period"].endswith("s")


@pytest.mark.parametrize("name", ["serve", "worker"])
def test_our_services_are_built_from_their_target_and_share_state_and_queue(name: str) -> None:
    service = services()[name]
    assert service["build"] == {"context": "..", "target": name}
    assert service["environment"]["ZOO_REDIS_URL"] == "redis://redis:6379/0"
    assert service["volumes"] == ["state:/data"]


def test_redis_keeps_accepted_jobs_over_a_restart_and_never_evicts_them() -> None:
    command = services()["redis"]["command"]
    options = dict(zip(command[1::2], command[2::2], strict=True))
    assert options["--appendonly"] == "yes"
    assert options["--appendfsync"] == "everysec"
    assert options["--maxmemory-policy"] == "noeviction"


def test_redis_can_be_reached_by_our_services_only() -> None:
    composed = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8"))
    assert services()["redis"]["networks"] == ["queue"]
    assert "ports" not in services()["redis"]
    assert composed["networks"]["queue"] == {"internal": True}


def test_compose_refuses_to_start_without_a_key() -> None:
    assert services()["serve"]["environment"]["ZOO_API_KEY"].startswith("${ZOO_API_KEY:?")


# ---- the serve image, as far as it can be made without a container engine


def reproduce(stage: str, folder: Path) -> Path:
    """Run a build stage's COPY and RUN lines in ``folder`` instead of an image; the virtual environment."""
    source, venv = folder / "src", folder / "zoo"
    source.mkdir()
    for value in (value for value in instructions(stage, "COPY") if not value.startswith("--from=")):
        *names, target = value.split()
        for name in names:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, source / target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / name, source / target)
    for line in instructions(stage, "RUN"):
        command = re.sub(r"--mount=\S+", "", line).replace("/opt/zoo", str(venv))
        done = subprocess.run(["bash", "-c", command], cwd=source, capture_output=True, text=True, timeout=600)
        if done.returncode and re.search(r"connection|resolve|timed out|No matching distribution", done.stderr):
            pytest.skip(f"the package index cannot be reached: {done.stderr.strip().splitlines()[-1][:200]}")
        assert done.returncode == 0, done.stderr
    return venv


@pytest.mark.real
@pytest.mark.timeout(600)
def test_the_serve_image_holds_no_training_library_and_its_application_starts(tmp_path: Path) -> None:
    venv = reproduce("serve-build", tmp_path)
    program = f"""
import importlib.util, sys
assert not [name for name in {TRAINING!r} if importlib.util.find_spec(name)], "installed"
from api.app import build
from zoo.settings import Settings
app = build(Settings(_env_file=None))
assert app.state.rest.made().app.routes
assert not [name for name in {TRAINING!r} if name in sys.modules], "loaded"
print("good")
"""
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "ZOO_HOME": str(tmp_path / "data")}
    done = subprocess.run(
        [venv / "bin" / "python", "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.stdout == "good\n", done.stderr
    version = subprocess.run([venv / "bin" / "zoo", "--version"], env=environment, capture_output=True, text=True)
    assert version.stdout.startswith("zoo "), version.stderr
