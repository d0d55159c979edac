"""Adapting a picture classifier with everything "auto", beside a probe on frozen features and training from scratch.

`python -m benchmarks.pictures DATA [--sets flowers5 …] [--seeds 3] [--scratch flowers5 …]`, where DATA holds a folder
for each set with `train.zip` and `test.zip` (a folder for each class). Accuracy on the whole test part, through upload,
queue, gate and predict. (a) is scikit-learn's logistic regression on the features that effnet-lite0 serves; (b) the
same network with random weights, trained on the same rows by `benchmarks.scratch`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from statistics import mean

import httpx
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.service import circumstances, finished, ready, service

SETS = ("flowers5", "hymenoptera", "eurosat")
BODY, FEATURES = "effnet-lite0", "effnet-lite0-features"
Labelled = list[tuple[bytes, str]]


def read(path: Path) -> Labelled:
    """Pictures and the names of their folders."""
    with zipfile.ZipFile(path) as archive:
        names = sorted(name for name in archive.namelist() if name.lower().endswith((".jpg", ".jpeg", ".png")))
        return [(archive.read(name), Path(name).parent.name) for name in names]


def answer(client: httpx.Client, model: str, picture: bytes) -> object:
    """What the model answers to one picture, sent as it is."""
    return client.post(f"/v1/models/{model}/predict", content=picture).raise_for_status().json()


def probe(client: httpx.Client, train: Labelled, test: Labelled) -> float:
    """(a) the better of logistic regression on features as they come and standardised."""
    vectors, others = (np.array([answer(client, FEATURES, one) for one, _ in part]) for part in (train, test))
    labels, right = [label for _, label in train], np.array([label for _, label in test])
    models = (LogisticRegression(max_iter=2000), make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)))
    return max(float(np.mean(model.fit(vectors, labels).predict(others) == right)) for model in models)


def ours(client: httpx.Client, path: Path, test: Labelled, *, seed: int) -> tuple[float, float]:
    """Accuracy through HTTP and wall seconds of the job."""
    with path.open("rb") as file:
        stored = client.post("/v1/files", data={"purpose": "fine-tune"}, files={"file": file}).raise_for_status().json()
    request = {"model": BODY, "training_file": stored["id"], "suffix": path.parent.name, "seed": seed}
    started = time.monotonic()
    job = client.post("/v1/fine_tuning/jobs", json=request).raise_for_status().json()
    done = finished(client, job["id"])
    seconds = time.monotonic() - started
    name = str(done["fine_tuned_model"])
    right = [answer(client, name, picture)[0]["label"] == label for picture, label in test]  # type: ignore[index]
    print(f"{path.parent.name}, seed {seed}: {np.mean(right):.4f}, {seconds:.0f} s", file=sys.stderr, flush=True)
    return float(np.mean(right)), seconds


def scratch(train: Path, test: Path) -> float:
    """(b) the accuracy of ``benchmarks.scratch`` as a process of its own."""
    command = [sys.executable, "-m", "benchmarks.scratch", str(train), str(test)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout.splitlines()[-1])["accuracy"])


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--sets", nargs="*", default=SETS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--scratch", nargs="*", default=("flowers5",), help="sets to measure (b) on")
    asked = parser.parse_args()
    print(circumstances(), "", "| set | ours, by seed | mean | (a) probe | (b) scratch | job, s |", sep="\n")
    print("|---|---|---|---|---|---|")
    with service() as client:
        ready(client, BODY, FEATURES)
        for name in asked.sets:
            train, test = asked.data / name / "train.zip", read(asked.data / name / "test.zip")
            runs = [ours(client, train, test, seed=seed) for seed in range(asked.seeds)]
            linear = probe(client, read(train), test)
            other = scratch(train, asked.data / name / "test.zip") if name in asked.scratch else float("nan")
            shown = " ".join(f"{accuracy:.4f}" for accuracy, _ in runs)
            seconds = mean(seconds for _, seconds in runs)
            average = mean(accuracy for accuracy, _ in runs)
            print(f"| {name} | {shown} | {average:.4f} | {linear:.4f} | {other:.4f} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
