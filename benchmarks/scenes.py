"""Adapting a segmenter to street scenes with everything "auto", beside the same network from random weights.

`python -m benchmarks.scenes DATA [--set camvid] [--seeds 1] [--epochs 20]`, where DATA holds a folder for the set with
`train.zip` and `test.zip` (images/, masks/, classes.json). Mean IoU over the classes that have a name, summed over the
whole test part, masks through upload, queue, gate and predict. (b) is the network that the job adapts with every
weight drawn anew, all of them trained on all rows of the training part, with the job's loss and views.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import torch
from torch import nn

from adapters.datasets import Example, FileStore
from adapters.datasets.pictures import open_mask
from adapters.jobs import Hyperparameters, JobKind, JobSpec
from adapters.training.division import Parts, divide
from adapters.training.importing import checkpoint_of
from adapters.training.recipe import Adaptation, load_recipe
from adapters.training.segmentation.scores import confusion, segmentation_scores
from adapters.training.segmentation.targets import served_map
from benchmarks.service import HOME, circumstances, finished, ready, service
from zoo.catalogue.store import Store
from zoo.settings import Settings

BODY = "effnet-lite0"
BATCH, RATE, VIEWS = 8, 2e-3, 2


def ours(client: httpx.Client, file: str, name: str, parts: Parts, *, seed: int) -> tuple[float, float]:
    """Mean IoU through HTTP and wall seconds of the job."""
    started = time.monotonic()
    request = {"model": BODY, "training_file": file, "suffix": name, "seed": seed}
    job = client.post("/v1/fine_tuning/jobs", json=request).raise_for_status().json()
    model = str(finished(client, job["id"])["fine_tuned_model"])
    seconds = time.monotonic() - started
    labels = [label for label in parts.labels if label]
    counts = np.zeros((len(labels), len(labels)), dtype=np.int64)
    for example in parts.heldout:
        masks = client.post(f"/v1/models/{model}/predict", content=example.read("image")).raise_for_status().json()
        own = true_classes(example, parts.labels)
        found = served_map(masks, labels, (own.shape[0], own.shape[1]))
        assert found is not None and (found >= 0).all()
        counts += confusion(found, own, len(labels))
    return float(segmentation_scores(counts, labels, rows=len(parts.heldout))["mean_iou"]), seconds


def true_classes(example: Example, values: Sequence[str | None]) -> Any:
    """(height, width) places among the named classes; 255 where the mask's value has no name."""
    table = np.full(256, 255, dtype=np.uint8)
    named = [value for value, name in enumerate(values) if name]
    table[named] = np.arange(len(named), dtype=np.uint8)
    return table[open_mask(example.read("mask"))]


def scratch(parts: Parts, *, epochs: int, seed: int = 0) -> float:
    """(b) Mean IoU of the same network from random weights."""
    torch.manual_seed(seed)
    store = Store(HOME)
    base = store.entry(BODY, max(store.versions(BODY)))
    rows = [*parts.train, *parts.untrained]
    recipe: Any = load_recipe("image-segmentation")
    made: Adaptation = recipe.adapt(
        checkpoint_of(store, base), base, rows, labels=parts.labels, asked=Hyperparameters()
    )
    network: Any = made.network
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d | nn.Linear):
            module.reset_parameters()
    network.requires_grad_(True)
    items = made.encode(rows, views=VIEWS)
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=0.05)
    total, step = epochs * math.ceil(len(rows) / BATCH), 0
    for epoch in range(epochs):
        network.train()
        for places in torch.split(torch.randperm(len(rows)), BATCH):
            for group in optimiser.param_groups:
                group["lr"] = RATE * min(1, (step + 1) / (0.1 * total)) * 0.5 * (1 + math.cos(math.pi * step / total))
            step += 1
            chosen = [items[place * VIEWS + (place + epoch) % VIEWS] for place in places.tolist()]
            with torch.autocast("cpu", dtype=torch.bfloat16):
                outputs = network(**made.collate(chosen))
            loss = made.loss(outputs.float(), [item.target for item in chosen])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    network.eval()
    judged = made.judge(made.encode(parts.heldout), lambda some: network(**made.collate(some)))
    return float(judged.metrics["mean_iou"])


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--set", default="camvid")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=20, help="of (b)")
    asked = parser.parse_args()
    print(circumstances(), "", "| set | ours, by seed | (b) scratch | job, s |", "|---|---|---|---|", sep="\n")
    with service() as client:
        ready(client, BODY)
        stored = []
        for part in ("train", "test"):
            with (asked.data / asked.set / f"{part}.zip").open("rb") as file:
                sent = client.post("/v1/files", data={"purpose": "fine-tune"}, files={"file": file})
                stored.append(str(sent.raise_for_status().json()["id"]))
        spec = JobSpec(kind=JobKind.ADAPT, model=BODY, training_file=stored[0], validation_file=stored[1])
        settings = Settings(home=HOME)
        parts = divide(spec, FileStore(HOME, settings))
        runs = [ours(client, stored[0], asked.set, parts, seed=seed) for seed in range(asked.seeds)]
        other = scratch(parts, epochs=asked.epochs)
        shown, seconds = " ".join(f"{score:.4f}" for score, _ in runs), [f"{taken:.0f}" for _, taken in runs]
        print(f"| {asked.set} | {shown} | {other:.4f} | {' '.join(seconds)} |", flush=True)


if __name__ == "__main__":
    main()
