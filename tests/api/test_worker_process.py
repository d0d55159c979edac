"""The supervised worker: started again when it dies, ended when asked, dead when its parent is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from api import worker_process
from api.worker_process import WorkerProcess
from tests.api.test_predict import wait_until
from tests.api.test_serving import children_of, lives

SLEEP = (sys.executable, "-c", "import time; time.sleep(60)")


def test_a_worker_that_dies_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_process, "FIRST_WAIT_SECONDS", 0.01)
    worker = WorkerProcess(os.environ, command=SLEEP)
    worker.start()
    try:
        wait_until(lambda: worker.pid is not None)
        first = worker.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: worker.pid not in (None, first))
    finally:
        worker.stop()
    assert worker.pid is None


def test_stop_asks_first(tmp_path: Path) -> None:
    trap = "import signal, sys, time, pathlib; " + (
        f"signal.signal(15, lambda *_: (pathlib.Path({str(tmp_path / 'saved')!r}).write_text('1'), sys.exit(0))); "
        f"pathlib.Path({str(tmp_path / 'up')!r}).write_text('1'); time.sleep(60)"
    )
    worker = WorkerProcess(os.environ, command=(sys.executable, "-c", trap))
    worker.start()
    wait_until(lambda: (tmp_path / "up").exists())
    worker.stop()
    assert (tmp_path / "saved").exists()
    assert worker.pid is None


def test_a_worker_gets_the_environment_that_it_is_given(tmp_path: Path) -> None:
    target = tmp_path / "seen"
    script = f"import os, pathlib, time; pathlib.Path({str(target)!r}).write_text(os.environ['ZOO_X']); time.sleep(60)"
    worker = WorkerProcess({**os.environ, "ZOO_X": "given"}, command=(sys.executable, "-c", script))
    worker.start()
    try:
        wait_until(lambda: target.exists() and target.read_text() == "given")
    finally:
        worker.stop()


def test_a_worker_dies_with_its_parent_also_by_kill_9() -> None:
    script = (
        "import os, sys, time; from api.worker_process import WorkerProcess; "
        f"WorkerProcess(os.environ, command={SLEEP!r}).start(); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", script])
    try:
        wait_until(lambda: len(children_of(parent.pid)) == 1)
        (child,) = children_of(parent.pid)
        wait_until(lambda: b"time.sleep(60)" in Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")[2])
        parent.kill()
        wait_until(lambda: not lives(child))
    finally:
        parent.kill()
        parent.wait()
