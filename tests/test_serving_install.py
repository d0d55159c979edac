"""Serving asks for no training library: every task answers in a process where importing one raises."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import TinyZoo
from tests.every_task import REQUESTS
from tests.test_architecture import HEAVY, ROOT
from zoo.tasks.task import task_names

FORBIDDEN = (*HEAVY, "accelerate", "datasets", "evaluate", "optimum", "tensorflow", "pyarrow")
pytestmark = pytest.mark.timeout(300)  # the first test may have to import a model for every task
PROGRAM = """
import json, sys

order = json.load(sys.stdin)


class Forbidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in order["forbidden"]:
            raise ImportError(f"{name} is not part of the serving installation")


sys.meta_path.insert(0, Forbidden())

from fastapi.testclient import TestClient

from api.app import build
from zoo.settings import Settings

settings = Settings(_env_file=None, home=order["home"], threads=1)
answers = {}
with TestClient(build(settings), base_url="http://127.0.0.1") as client:
    for name, (path, body) in order["requests"].items():
        answer = client.post(path, json=body)
        answers[name] = [answer.status_code, answer.text]
loaded = sorted({name.partition(".")[0] for name in sys.modules} & set(order["forbidden"]))
print(json.dumps({"answers": answers, "loaded": loaded}))
"""


@pytest.fixture(scope="module")
def served(every_task: TinyZoo) -> dict[str, Any]:
    """What the process answered to a request of each task, and to one for vectors; and what it had loaded."""
    requests = {task: (f"/v1/models/{asked.model}/predict", asked.body()) for task, asked in REQUESTS.items()}
    requests["embeddings"] = ("/v1/embeddings", {"model": "mini", "input": "my parcel"})
    order = {"home": str(every_task.home), "forbidden": FORBIDDEN, "requests": requests}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, input=json.dumps(order), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_every_task_of_every_modality_is_asked() -> None:
    assert sorted(REQUESTS) == task_names()


def test_every_task_answers_where_importing_a_training_library_raises(served: dict[str, Any]) -> None:
    answers = {task: json.loads(text) for task, (status, text) in served["answers"].items() if status == 200}
    assert set(answers) == {*REQUESTS, "embeddings"}, served["answers"]
    for task, asked in REQUESTS.items():
        assert answers[task], task
        if asked.shows:
            assert f'"{asked.shows}"' in json.dumps(answers[task]), task
    assert served["loaded"] == []


def test_the_process_would_have_noticed(tmp_path: Path) -> None:
    order = {"home": str(tmp_path), "forbidden": FORBIDDEN, "requests": {}}
    program = PROGRAM.replace("from fastapi", "import torch\nfrom fastapi", 1)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, input=json.dumps(order), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "torch is not part of the serving installation" in done.stderr
