"""A service of the benchmark's own: `zoo serve` on a free port; its home is kept, so that models stay imported."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path
from typing import Any

import httpx

HOME = Path.home() / ".cache" / "adaptzoo-benchmarks"
# Apart, as what lies in a home is loaded at the start: the memory of the engine is measured with minilm alone.
MEDIA_HOME = HOME.with_name("adaptzoo-benchmarks-media")


@contextmanager
def service(*flags: str, home: Path = HOME, models: Sequence[str] = ("minilm",)) -> Iterator[httpx.Client]:
    """A client of a running service with ``models`` ready."""
    home.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "api.cli", "serve", "--port", "0", "--home", str(home), *flags]
    with (home / "log.txt").open("w") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    assert process.stdout is not None
    with process:
        try:
            url = next(line for line in process.stdout if "http://" in line).split()[-1]
            with httpx.Client(base_url=url, timeout=600, trust_env=False) as client:
                ready(client, *models)
                yield client
        finally:  # also after an interruption
            process.terminate()
            process.wait(30)


def ready(client: httpx.Client, *models: str) -> None:
    """Bring models into the zoo unless they are there."""
    for name in models:
        if client.get(f"/v1/models/{name}").json()["status"] != "ready":
            finished(client, client.post("/v1/models", json={"id": name}).json()["id"])


def finished(client: httpx.Client, job: str) -> dict[str, Any]:
    """The job once it has ended; raises ``RuntimeError`` if it failed."""
    while True:
        found: dict[str, Any] = client.get(f"/v1/jobs/{job}").json()
        if found["status"] in ("failed", "cancelled"):
            raise RuntimeError(f"{job}: {found['error']}")
        if found["status"] == "succeeded":
            return found
        time.sleep(0.5)  # each question takes time from the job that is asked about


def cpu_seconds() -> float:
    """CPU time of all processes that this one has started, with those that these have started and outlived."""
    spent: dict[int, tuple[int, int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it may have ended meanwhile
            fields = path.read_text().rpartition(")")[2].split()
            spent[int(path.parent.name)] = int(fields[1]), sum(map(int, fields[11:15]))
    mine, ticks = {os.getpid()}, 0
    while found := {pid for pid, (parent, _) in spent.items() if parent in mine} - mine:
        ticks += sum(spent[pid][1] for pid in found)
        mine |= found
    return ticks / os.sysconf("SC_CLK_TCK")


def circumstances() -> str:
    """Hardware, date and commit of a measurement, in one line."""
    name = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.processor(),
    )
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores of {name}, Python {platform.python_version()}, {date.today()}, commit {commit}"
