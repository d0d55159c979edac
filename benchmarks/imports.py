"""Importing real-size picture classifiers: seconds, peak memory against the checkpoint, speed beside the raw session.

`python -m benchmarks.imports [--only resnet50 …]`: ResNet-50 and ViT-base in transformers' layout and VGG-16 in timm's,
with random weights. Each import runs in a process of its own, whose peak resident memory is read; pictures a second are
those of one `Predictor`, from JPEG bytes to labels, and of its bare session on prepared batches of the same size.
"""

from __future__ import annotations

import argparse
import io
import json
import resource
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
    """Import one folder as the worker does; prints seconds and peak megabytes of this process."""
    from adapters.jobs import Job, JobKind, JobSpec
    from adapters.pretraining.adapted import Progress
    from adapters.training import importing
    from zoo.settings import Settings

    started = time.monotonic()
    source = {"kind": "folder", "path": str(folder)}
    spec = JobSpec(kind=JobKind.IMPORT, model="big", task="image-classification", source=source)
    importing.run(Progress(Job(id="ftjob-1", spec=spec, created_at=time.time()), home), Settings(home=home))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(json.dumps({"seconds": round(time.monotonic() - started, 1), "megabytes": round(peak)}))


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


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=MODELS)
    parser.add_argument("--step", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.step:
        kind, first, second = asked.step
        write(first, Path(second)) if kind == "write" else bring(Path(first), Path(second))
        return
    print(
        circumstances(),
        "",
        "| model | MB | import, s | peak, MB | peak / checkpoint | pictures/s | session |",
        sep="\n",
    )
    print("|---|---|---|---|---|---|---|")
    command = [sys.executable, "-m", "benchmarks.imports", "--step"]
    for name in asked.only:
        with tempfile.TemporaryDirectory() as place:
            folder, home = Path(place) / "checkpoint", Path(place) / "home"
            folder.mkdir()
            home.mkdir()
            subprocess.run([*command, "write", name, str(folder)], check=True, capture_output=True)
            done = subprocess.run(
                [*command, "bring", str(folder), str(home)], check=True, capture_output=True, text=True
            )
            took = json.loads(done.stdout.splitlines()[-1])
            size = (folder / "model.safetensors").stat().st_size / 1e6
            served, bare = speeds(home)
            peak = took["megabytes"]
            print(
                f"| {name} | {size:.0f} | {took['seconds']} | {peak} | {peak / size:.1f} | {served:.1f} | {bare:.1f} |"
            )


if __name__ == "__main__":
    main()
