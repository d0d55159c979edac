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
from pathlib import Path
from statistics import mean

import httpx
import numpy as np

from benchmarks.labelled import PICTURES, Labelled, answer, logistic, ours, read
from benchmarks.service import circumstances, ready, service

SETS = ("flowers5", "hymenoptera", "eurosat")
BODY, FEATURES = "effnet-lite0", "effnet-lite0-features"


def probe(client: httpx.Client, train: Labelled, test: Labelled) -> float:
    """(a) logistic regression on the features that the service gives."""
    vectors, others = (np.array([answer(client, FEATURES, one) for one, _ in part]) for part in (train, test))
    return logistic(vectors, [label for _, label in train], others, [label for _, label in test])


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
            train, test = asked.data / name / "train.zip", read(asked.data / name / "test.zip", PICTURES)
            archive = train.read_bytes()
            runs = [ours(client, BODY, archive, test, name=name, seed=seed) for seed in range(asked.seeds)]
            linear = probe(client, read(train, PICTURES), test)
            other = scratch(train, asked.data / name / "test.zip") if name in asked.scratch else float("nan")
            shown = " ".join(f"{accuracy:.4f}" for accuracy, _ in runs)
            seconds = mean(seconds for _, seconds in runs)
            average = mean(accuracy for accuracy, _ in runs)
            print(f"| {name} | {shown} | {average:.4f} | {linear:.4f} | {other:.4f} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
