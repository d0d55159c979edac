"""A publisher that is killed at any moment leaves a whole version or none."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.zoo.catalogue.drafts import draft
from zoo.catalogue.store import Store

KILLS = 32
ROOT = Path(__file__).parents[3]

# Publishes 200 kB in three files again and again, until it is killed.
_PUBLISHER = """
import sys
from pathlib import Path
from tests.zoo.catalogue.drafts import draft
from zoo.catalogue.store import Store

store = Store(Path(sys.argv[1]))
print("ready", flush=True)
while True:
    with store.staging() as staged:
        (staged / "adapter").mkdir()
        for name in ("model.onnx", "tokenizer.json", "adapter/adapter_model.safetensors"):
            (staged / name).write_bytes(b"x" * 70_000)
        store.publish(staged, draft())
    print("published", flush=True)
"""


@pytest.mark.chaos
def test_dozens_of_kills_leave_whole_versions_and_a_store_that_goes_on(tmp_path: Path) -> None:
    dice = random.Random(7)
    store = Store(tmp_path)
    seen = 0
    for _ in range(KILLS):
        child = subprocess.Popen([sys.executable, "-c", _PUBLISHER, str(tmp_path)], stdout=subprocess.PIPE, cwd=ROOT)
        assert child.stdout is not None
        child.stdout.readline()
        start = time.monotonic()
        child.stdout.readline()
        # The first publication took this long here, so the kill falls into the second one.
        time.sleep(dice.uniform(0.0, min(time.monotonic() - start, 0.2)))
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()
        assert store.broken("tickets") == []
        for version in store.versions("tickets")[seen:]:
            store.verify(store.entry("tickets", version))
        seen = len(store.versions("tickets"))
    assert seen >= KILLS
    assert store.versions("tickets") == list(range(1, seen + 1))


@pytest.mark.chaos
def test_the_lock_of_a_killed_publisher_is_free_at_once(tmp_path: Path) -> None:
    script = _PUBLISHER.replace("store.publish(staged, draft())", "store.publish(staged, draft(), confirm=hang)")
    script = script.replace(
        'print("ready"', 'def hang():\n    print("in confirm", flush=True)\n    sys.stdin.read()\nprint("ready"'
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    )
    assert child.stdin is not None and child.stdout is not None
    child.stdout.readline()
    assert child.stdout.readline() == b"in confirm\n"
    child.kill()
    child.wait()
    child.stdin.close()
    child.stdout.close()
    store = Store(tmp_path)
    assert store.names() == []
    with store.staging() as staged:
        (staged / "model.onnx").write_bytes(b"x")
        assert store.publish(staged, draft()).version == 1
