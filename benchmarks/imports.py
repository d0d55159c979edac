"""Importing models of real size: seconds, peak memory against the checkpoint, speed beside the raw session.

`python -m benchmarks.imports [--only resnet50 …]`: ResNet-50, ViT-base, wav2vec2-base (a classifier, and a recogniser),
HuBERT-base, Whisper-base, BERT-base, BART-base and a Marian in transformers' layout and VGG-16 in timm's, with random
weights. Each import runs in a process of its own, whose peak resident memory is read, the mapped checkpoint included; a
bare process is one that has loaded the same modules and nothing else. CPU seconds are those of all threads. Δ is the
largest difference from torch that the import's gate found. Pictures a second are those of one `Predictor`, from JPEG
bytes to labels, and of its bare session on prepared batches of the same size.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.checkpoints import CHECKPOINTS
from benchmarks.service import circumstances
from zoo.catalogue.store import Store
from zoo.engine.predictor import MODEL_FILE, Predictor
from zoo.engine.session import Session
from zoo.engine.threads import granted_threads

BATCH, SECONDS = 8, 5.0


def write(name: str, folder: Path) -> None:
    """A checkpoint with random weights; in a process of its own, as it takes memory too."""
    import torch

    torch.manual_seed(0)
    CHECKPOINTS[name].write(folder)


def bring(name: str, folder: Path, home: Path) -> None:
    """Import one folder as the worker does; prints seconds, peak megabytes and the names of all loaded modules."""
    from adapters import importing
    from adapters.jobs import Job, JobKind, JobSpec
    from adapters.pretraining.adapted import Progress
    from zoo.settings import Settings

    started = time.monotonic()
    source = {"kind": "folder", "path": str(folder)}
    spec = JobSpec(kind=JobKind.IMPORT, model="big", task=CHECKPOINTS[name].task, source=source)
    importing.run(Progress(Job(id="ftjob-1", spec=spec, created_at=time.time()), home), Settings(home=home))
    seconds = round(time.monotonic() - started, 1)
    used = round(time.process_time(), 1)
    print(json.dumps({"seconds": seconds, "cpu": used, "megabytes": _peak(), "modules": list(sys.modules)}))


def bare(modules: Path) -> None:
    """Load the modules that a file names; prints peak megabytes."""
    for name in json.loads(modules.read_text()):
        with contextlib.suppress(Exception):  # some are made while others run, and cannot be found by their name
            importlib.import_module(name)
    print(json.dumps({"megabytes": _peak()}))


def _peak() -> int:
    """Megabytes; getrusage would not do, as its figure begins with the memory of the process that started this one."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return round(int(line.split()[1]) * 1024 / 1e6)


def speeds(home: Path) -> tuple[float, float]:
    """Pictures a second of the predictor and of the bare session."""
    store = Store(home)
    entry = store.entry("big", 1)
    folder, threads = store.folder("big", 1), granted_threads(0)
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)).save(buffer, "JPEG")
    predictor = Predictor(entry, folder, threads=threads)
    pixels = np.zeros((BATCH, 3, entry.limits["height"], entry.limits["width"]), np.float32)
    session = Session(folder / MODEL_FILE, threads=threads)
    found: list[float] = []
    for run in (lambda: predictor.predict([buffer.getvalue()] * BATCH), lambda: session.run({"pixel_values": pixels})):
        run()
        count, started = 0, time.monotonic()
        while time.monotonic() - started < SECONDS:
            run()
            count += BATCH
        found.append(count / (time.monotonic() - started))
    return found[0], found[1]


def measure(name: str, place: Path) -> str:
    """Import one model; a row of the table."""
    folder, home, modules = place / "checkpoint", place / "home", place / "modules.json"
    folder.mkdir()
    home.mkdir()
    _step("write", name, folder)
    took = json.loads(_step("bring", name, folder, home))
    modules.write_text(json.dumps(took["modules"]))
    alone = int(json.loads(_step("bare", modules))["megabytes"])
    peak, size = int(took["megabytes"]), (folder / "model.safetensors").stat().st_size / 1e6
    pictures = CHECKPOINTS[name].task == "image-classification"
    speed = [f"{rate:.1f}" for rate in speeds(home)] if pictures else ["–", "–"]
    cells = [name, f"{size:.0f}", took["seconds"], took["cpu"], peak, f"{peak / size:.1f}", alone, peak - alone]
    apart = Store(home).entry("big", 1).parity["max_abs_difference"]
    cells += [f"{(peak - alone) / size:.1f}", f"{apart:.1e}", *speed]
    return f"| {' | '.join(map(str, cells))} |"


def _step(*words: object) -> str:
    """The last line that one step prints in a process of its own, nothing if it prints none."""
    command = [sys.executable, "-m", "benchmarks.imports", "--step", *map(str, words)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return (done.stdout.splitlines() or [""])[-1]


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=tuple(CHECKPOINTS))
    parser.add_argument("--step", nargs="*", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.step:
        kind, *words = asked.step
        if kind == "write":
            write(words[0], Path(words[1]))
        elif kind == "bring":
            bring(words[0], Path(words[1]), Path(words[2]))
        else:
            bare(Path(words[0]))
        return
    print(circumstances(), "", sep="\n")
    print(
        "| model | MB | import, s | CPU, s | peak, MB | / MB | bare, MB | above it | / MB | Δ | pictures/s | session |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    for name in asked.only:
        with tempfile.TemporaryDirectory() as place:
            print(measure(name, Path(place)), flush=True)


if __name__ == "__main__":
    main()
