"""Adapting a sound classifier with everything "auto", beside a probe on frozen features and training from scratch.

`python -m benchmarks.sounds DATA [--sets fsdd …] [--clips 50 200 0] [--seeds 3] [--scratch fsdd …]`, where DATA holds a
folder for each set with `train.zip` and `test.zip` (a folder for each class). Accuracy on the whole test part, through
upload, queue, gate and predict. Each seed draws other clips to train on, the same for all columns; 0 takes all of them.
(a) is scikit-learn's logistic regression on the pooled vectors of Whisper's frozen encoder; (b) the same network with
random weights, every one of them trained on the same clips by `benchmarks.sound_networks`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import httpx

from benchmarks.labelled import SOUNDS, ours, packed, read, some
from benchmarks.service import HOME, circumstances, ready, service

SETS = ("speech_commands_small", "fsdd")
BODY = "whisper-tiny-en"
MANY = 10**9


@dataclass(frozen=True)
class Beside:
    """Accuracies of the other ways on the same clips; None where it was not asked for."""

    probe: float
    scratch: float | None


def beside(train: bytes, test: Path, *, scratch: bool) -> Beside:
    """(a) and (b), in a process of their own."""
    checkpoint = next((HOME / "models" / BODY).glob("*/checkpoint"))
    with tempfile.NamedTemporaryFile(suffix=".zip") as file:
        Path(file.name).write_bytes(train)
        command = [sys.executable, "-m", "benchmarks.sound_networks", str(checkpoint), file.name, str(test)]
        done = subprocess.run([*command, *["--scratch"] * scratch], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    return Beside(found["probe"], found.get("scratch"))


def row(client: httpx.Client, folder: Path, count: int, *, seeds: int, scratch: bool) -> str:
    """One set with so many clips: a row of the table."""
    rows, test = read(folder / "train.zip", SOUNDS), read(folder / "test.zip", SOUNDS)
    count = min(count or MANY, len(rows))
    runs, others = [], []
    for seed in range(seeds):
        archive = packed(some(rows, count, seed=seed), ".flac")
        runs.append(ours(client, BODY, archive, test, name=f"{folder.name}-{count}", seed=seed))
        if seed == 0 or count < len(rows):  # else the same clips again
            others.append(beside(archive, folder / "test.zip", scratch=scratch and seed == 0))
        print(others[-1], file=sys.stderr, flush=True)
    shown = " ".join(f"{accuracy:.4f}" for accuracy, _ in runs)
    probes = " ".join(f"{one.probe:.4f}" for one in others)
    cells = [folder.name, count, shown, f"{mean(accuracy for accuracy, _ in runs):.4f}", probes]
    cells += ["–" if others[0].scratch is None else f"{others[0].scratch:.4f}", f"{mean(took for _, took in runs):.0f}"]
    return f"| {' | '.join(map(str, cells))} |"


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--sets", nargs="*", default=SETS)
    parser.add_argument("--clips", nargs="*", type=int, default=(50, 200, 0))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--scratch", nargs="*", default=(), help="sets to measure (b) on")
    asked = parser.parse_args()
    print(circumstances(), "", "| set | clips | ours, by seed | mean | (a) probe | (b) scratch | job, s |", sep="\n")
    print("|---|---|---|---|---|---|---|")
    with service() as client:
        ready(client, BODY)
        for name in asked.sets:
            for count in asked.clips:
                shown = row(client, asked.data / name, count, seeds=asked.seeds, scratch=name in asked.scratch)
                print(shown, flush=True)


if __name__ == "__main__":
    main()
