"""Fake work for the queue's tests: jobs that count to a number, save where they are, and publish once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from filelock import FileLock

from adapters.jobs import JobContext, JobKind
from zoo.errors import InvalidInput
from zoo.settings import Settings

HERE = "tests.adapters.queue.runners"
COUNTING = {JobKind.ADAPT: f"{HERE}.count", JobKind.IMPORT: f"{HERE}.misbehave", JobKind.INSPECT: f"{HERE}.absent"}


def trace(home: Path, **line: Any) -> None:
    """Append one line to the trace of what really ran."""
    text = json.dumps({**line, "pid": os.getpid(), "at": time.time()}) + "\n"
    descriptor = os.open(home / "trace.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def traced(home: Path, what: str, job_id: str | None = None) -> list[dict[str, Any]]:
    """Lines of the trace about one thing."""
    path = home / "trace.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [line for line in lines if line["what"] == what and job_id in (None, line["job"])]


def count(context: JobContext, settings: Settings) -> dict[str, Any]:
    """Count ``steps`` (metadata) with ``pause`` seconds each and a checkpoint every ``every`` steps; then publish."""
    wish = context.job.spec.metadata or {}
    steps, pause, every = int(wish.get("steps", "5")), float(wish.get("pause", "0.01")), int(wish.get("every", "1"))
    place = context.folder / "checkpoint.json"
    start = json.loads(place.read_text())["step"] if place.exists() else 0
    trace(settings.home, what="start", job=context.job.id, token=context.job.token, step=start)
    done = start

    def save() -> None:
        fresh = context.attempt_folder / "checkpoint.json"
        fresh.write_text(json.dumps({"step": done}))
        os.replace(fresh, place)
        context.checkpointed(done, loss=1.0 / (1 + done))

    for step in range(start + 1, steps + 1):
        time.sleep(pause)
        trace(settings.home, what="step", job=context.job.id, token=context.job.token, step=step)
        done = step
        if step % every == 0:
            save()
        context.tick("count", step, steps, save=save, loss=1.0 / step)
    publish(context, settings)
    return {"fine_tuned_model": "counted@1", "steps": steps}


def publish(context: JobContext, settings: Settings) -> None:
    """As the store does it: once per job, under a lock, after the lease was confirmed."""
    with FileLock(settings.home / "publish.lock"):
        if traced(settings.home, "publish", context.job.id):
            return
        context.confirm()
        trace(settings.home, what="publish", job=context.job.id, token=context.job.token)


def misbehave(context: JobContext, settings: Settings) -> dict[str, Any]:
    """Do what the model name of the import says."""
    trace(settings.home, what="start", job=context.job.id, token=context.job.token, step=0)
    return _DEEDS[context.job.spec.model](context, settings)


def _refuse(context: JobContext, settings: Settings) -> dict[str, Any]:
    raise InvalidInput("the third row has no label", code="invalid_dataset", param="training_file")


def _crash(context: JobContext, settings: Settings) -> dict[str, Any]:
    raise KeyError("/secret/path")


def _swallow(context: JobContext, settings: Settings) -> dict[str, Any]:
    while True:
        try:
            time.sleep(0.05)
            context.tick("loop", 1, 2)
        except Exception:
            continue


def _hang(context: JobContext, settings: Settings) -> dict[str, Any]:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGTERM})
    helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    trace(settings.home, what="helper", job=context.job.id, helper=helper.pid)
    time.sleep(600)
    return {}


def _die(context: JobContext, settings: Settings) -> dict[str, Any]:
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def _exhaust(context: JobContext, settings: Settings) -> dict[str, Any]:
    raise MemoryError


def _unserialisable(context: JobContext, settings: Settings) -> dict[str, Any]:
    return {"what": object()}


_DEEDS = {
    "refuse": _refuse,
    "crash": _crash,
    "swallow": _swallow,
    "hang": _hang,
    "die": _die,
    "exhaust": _exhaust,
    "unserialisable": _unserialisable,
}
