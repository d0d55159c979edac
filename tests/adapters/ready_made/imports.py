"""Imports a folder with ready-made graphs, here or where torch cannot be imported, and has it answer."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from adapters import importing
from adapters.jobs import JobKind, JobSpec
from tests.adapters.training.quiet_context import QuietContext, context_for
from zoo.catalogue.store import Store
from zoo.engine.predictor import Predictor
from zoo.settings import Settings

ROOT = Path(__file__).parents[3]
LIGHT = """
import json, sys, time
for name in ("torch", "transformers", "peft", "onnx", "sklearn"):
    sys.modules[name] = None
from pathlib import Path
from adapters import importing
from adapters.jobs import Job, JobSpec
from zoo.errors import ZooError
from zoo.catalogue.store import Store
from zoo.engine.predictor import Predictor
from zoo.settings import Settings

class Context:
    def __init__(self, job): self.job, self.messages = job, []
    def tick(self, *_, **__): pass
    def event(self, message, **_): self.messages.append(message)
    def confirm(self): pass

home, asked = Path(sys.argv[1]), json.load(sys.stdin)
told = []
for one in asked:
    spec = JobSpec(kind="import", model=one["model"], source=one["source"])
    context = Context(Job(id="import-" + one["model"], spec=spec, created_at=time.time()))
    try:
        importing.run(context, Settings(_env_file=None, home=home, worker_threads=1))
    except ZooError as error:
        told.append({"code": error.code, "message": error.message, "param": error.param})
        continue
    store = Store(home)
    predictor = Predictor(store.entry(one["model"], 1), store.folder(one["model"], 1), threads=1)
    told.append(predictor.predict(one["inputs"], one.get("parameters") or {}).body)
loaded = [name for name in ("torch", "transformers", "onnx") if sys.modules.get(name) is not None]
print(json.dumps({"told": told, "loaded": loaded}))
"""


def imported(home: Path, folder: Path, *, task: str | None = None, precision: Any = None) -> Predictor:
    """The version ``mine`` as it is served."""
    run(home, folder, task=task, precision=precision)
    store = Store(home)
    return Predictor(store.entry("mine", 1), store.folder("mine", 1), threads=1)


def run(home: Path, folder: Path, *, task: str | None = None, precision: Any = None) -> QuietContext:
    """The import job."""
    source = {"kind": "folder", "path": str(folder)}
    spec = JobSpec(kind=JobKind.IMPORT, model="mine", task=task, source=source, precision=precision)
    context = context_for(home, spec, job="import-mine")
    importing.run(context, Settings(_env_file=None, home=home, worker_threads=1, threads=1))
    return context


def imported_lightly(home: Path, asked: list[dict[str, Any]]) -> list[Any]:
    """What models answer that are imported and asked in a process where torch and transformers cannot be imported.

    Each of ``asked`` has ``model``, ``source``, ``inputs`` and perhaps ``parameters``; an error is told by its fields.
    """
    command = [sys.executable, "-W", "error", "-c", LIGHT, str(home)]
    done = subprocess.run(command, cwd=ROOT, input=json.dumps(asked), capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["loaded"] == []
    told: list[Any] = found["told"]
    return told
