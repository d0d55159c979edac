"""Processes that cannot outlive the one that started them, even if that one is killed with SIGKILL.

The kernel sends its signal when the *thread* that started the process ends: call these from a thread that lives on.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any

# prctl(PR_SET_PDEATHSIG = 1, SIGKILL = 9); the parent may have died before the call, hence the second look. Systems
# without prctl go on untied.
TIE = """
import ctypes, os, sys
prctl = getattr(ctypes.CDLL(None), "prctl", None)
if prctl is not None:
    prctl(1, 9)
    if os.getppid() != {parent}:
        os._exit(1)
"""

LOOK_SECONDS = 0.5  # between two looks at whether a process runs: ten of them a second were .15 % of a core

CALL = """
import importlib, json
order = json.load(sys.stdin)
sys.path[:] = order["path"]
module, _, function = order["call"].rpartition(".")
sys.exit(getattr(importlib.import_module(module), function)(order["payload"]))
"""

EXECUTE = """
os.execv(sys.argv[1], sys.argv[1:])
"""


def outlast(process: subprocess.Popen[bytes], stop: threading.Event) -> None:
    """Wait until a process has ended, or ``stop`` is set."""
    while process.poll() is None and not stop.wait(LOOK_SECONDS):
        pass


def start_call(call: str, payload: Mapping[str, Any]) -> subprocess.Popen[bytes]:
    """Run ``call(payload)``, a dotted name, in a fresh interpreter and its own process group; exits with its result.

    The payload goes over a pipe, so that no secret shows in the process list.
    """
    source = TIE.format(parent=os.getpid()) + CALL
    process = subprocess.Popen([sys.executable, "-c", source], stdin=subprocess.PIPE, process_group=0)
    order = json.dumps({"path": sys.path, "call": call, "payload": payload})
    assert process.stdin is not None
    try:
        process.stdin.write(order.encode())
        process.stdin.close()
    except BrokenPipeError:
        pass  # it died at once; whoever waits for it will see
    return process


def start_program(arguments: Sequence[str], *, keep_open: Sequence[int] = ()) -> subprocess.Popen[bytes]:
    """Run a program (absolute path first) in its own process group; ``keep_open`` are descriptors it inherits."""
    source = TIE.format(parent=os.getpid()) + EXECUTE
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", source, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=keep_open,
        process_group=0,
    )
