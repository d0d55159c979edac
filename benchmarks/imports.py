"""Importing real-size picture classifiers: seconds, peak memory against the checkpoint, speed beside the raw session.

`python -m benchmarks.imports [--only resnet50 …]`: ResNet-50 and ViT-base in transformers' layout and VGG-16 in timm's,
with random weights. Each import runs in a process of its own, whose peak resident memory is read, the mapped checkpoint
included; a bare process is one that has loaded the same modules and nothing else. Pictures a second are those of one
`Predictor`, from JPEG bytes to labels, and of its bare session on prepared batches of the same size.
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

from benchmarks.service import circumstances
from zoo.engine.predictor import MODEL_FILE, Predictor
from zoo.engine.session import Session
from zoo.engine.threads import granted_threads

MODELS = ("resnet50", "vgg16", "vit-base")
BATCH, SECONDS = 8, 5.0


def write(name: str, folder: Path) -> None:
    """A checkpoint in hub layout with random weights; in a process of its own, as it takes memory too."""
    import torch
    from safetensors.torch import save_file
    from transformers import (
        ResNetConfig,
        ResNetForImageClassification,
        ViTConfig,
        ViTForImageClassification,
    )

    torch.manual_seed(0)
    labels = {place: f"class {place}" for place in range(1000)}
    if name == "vgg16":
        from adapters.training.architectures.vgg import VARIANTS, VGG

        network = VGG(VARIANTS[name], 1000)
        save_file(network.state_dict(), str(folder / "model.safetensors"))
        prepared = {"input_size": [3, 224, 224], "interpolation": "bilinear", "crop_pct": 0.875}
        prepared |= {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
        config = {"architecture": name, "num_classes": 1000, "pretrained_cfg": prepared}
        config["label_names"] = list(labels.values())
        (folder / "config.json").write_text(json.dumps(config))
        return
    if name == "resnet50":
        ResNetForImageClassification(ResNetConfig(id2label=labels)).save_pretrained(folder)
    else:
        ViTForImageClassification(ViTConfig(id2label=labels)).save_pretrained(folder)
    prepared = {"do_resize": True, "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True}
    if name == "resnet50":
        prepared |= {"image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 224}}
        prepared |= {"crop_pct": 0.875, "resample": 3}
        prepared |= {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
    else:
        prepared |= {"image_processor_type": "ViTImageProcessor", "size": {"height": 224, "width": 224}, "resample": 2}
        prepared |= {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
    (folder / "preprocessor_config.json").write_text(json.dumps(prepared))


def bring(folder: Path, home: Path) -> None:
    """Import one folder as the worker does; prints seconds, peak megabytes and the names of all loaded modules."""
    from adapters.jobs import Job, JobKind, JobSpec
    from adapters.pretraining.adapted import Progress
    from adapters.training import importing
    from zoo.settings import Settings

    started = time.monotonic()
    source = {"kind": "folder", "path": str(folder)}
    spec = JobSpec(kind=JobKind.IMPORT, model="big", task="image-classification", source=source)
    importing.run(Progress(Job(id="ftjob-1", spec=spec, created_at=time.time()), home), Settings(home=home))
    seconds = round(time.monotonic() - started, 1)
    print(json.dumps({"seconds": seconds, "megabytes": _peak(), "modules": list(sys.modules)}))


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
    from zoo.catalogue.store import Store

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
    took = json.loads(_step("bring", folder, home))
    modules.write_text(json.dumps(took["modules"]))
    alone = int(json.loads(_step("bare", modules, home))["megabytes"])
    peak, size = int(took["megabytes"]), (folder / "model.safetensors").stat().st_size / 1e6
    served, raw = speeds(home)
    cells = [name, f"{size:.0f}", took["seconds"], peak, f"{peak / size:.1f}", alone, peak - alone]
    cells += [f"{(peak - alone) / size:.1f}", f"{served:.1f}", f"{raw:.1f}"]
    return f"| {' | '.join(map(str, cells))} |"


def _step(*words: object) -> str:
    """The last line that one step prints in a process of its own, nothing if it prints none."""
    command = [sys.executable, "-m", "benchmarks.imports", "--step", *map(str, words)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return (done.stdout.splitlines() or [""])[-1]


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=MODELS)
    parser.add_argument("--step", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.step:
        kind, first, second = asked.step
        if kind == "write":
            write(first, Path(second))
        elif kind == "bring":
            bring(Path(first), Path(second))
        else:
            bare(Path(first))
        return
    print(circumstances(), "", sep="\n")
    print("| model | MB | import, s | peak, MB | / MB | bare process, MB | above it | / MB | pictures/s | session |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name in asked.only:
        with tempfile.TemporaryDirectory() as place:
            print(measure(name, Path(place)), flush=True)


if __name__ == "__main__":
    main()
