"""A starter that translates, adapted to picture captions with everything "auto", beside the same network from scratch.

`python -m benchmarks.translation DATA [--rows 29000] [--test 1000] [--seeds 1] [--epochs 8]`, where DATA holds
`multi30k_en_de` (columns en and de). chrF and BLEU on the same rows of its test part: of the starter as it is, of what
a job makes of it, both through HTTP with the beams that its manifest names, and of `benchmarks.translation_scratch` on
the same rows. Ahead is by how much chrF the adapted starter leads from scratch; the goal is 5.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

from adapters.pretraining.translator import read
from adapters.training.texts.scores import translation_scores
from benchmarks.corpora import some
from benchmarks.service import HOME, circumstances, cpu_seconds, finished, ready, service

BODY, SET, SIDES = "tatoeba-en-de", "multi30k_en_de", ("en", "de")
AT_ONCE = 50  # sentences in a request
Pairs = list[tuple[str, str]]


def figures(client: httpx.Client, model: str, test: Pairs) -> dict[str, Any]:
    """Of the model's answers to the sentences of a part."""
    written: list[str] = []
    for start in range(0, len(test), AT_ONCE):
        request = {"inputs": [source for source, _ in test[start : start + AT_ONCE]]}
        answers = client.post(f"/v1/models/{model}/predict", json=request).raise_for_status().json()
        written += [answer["translation_text"] for answer in answers]
    return translation_scores(written, [target for _, target in test])


def adapted(client: httpx.Client, pairs: Pairs, *, seed: int) -> tuple[str, float, float]:
    """The version that a job made, its wall seconds and its CPU seconds."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "captions.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([SIDES, *pairs])
        sent = {"file": path.open("rb")}
        stored = client.post("/v1/files", data={"purpose": "fine-tune"}, files=sent).raise_for_status().json()
    request = {"model": BODY, "training_file": stored["id"], "suffix": "captions", "seed": seed, "task": "translation"}
    started, used = time.monotonic(), cpu_seconds()
    job = client.post("/v1/fine_tuning/jobs", json=request).raise_for_status().json()
    done = finished(client, job["id"])
    return str(done["fine_tuned_model"]), time.monotonic() - started, cpu_seconds() - used


def scratch(folder: Path, asked: argparse.Namespace, *, seed: int) -> dict[str, float]:
    """Figures of `benchmarks.translation_scratch`, a process of its own."""
    tokenizer = next((HOME / "models" / BODY).glob("*/checkpoint")) / "tokenizer.json"
    command = [sys.executable, "-m", "benchmarks.translation_scratch", str(tokenizer)]
    command += [str(folder / f"{part}.csv.gz") for part in ("train", "test")]
    numbers = {"rows": asked.rows, "test-rows": asked.test, "epochs": asked.epochs, "seed": seed}
    command += [word for name, value in numbers.items() for word in (f"--{name}", str(value))]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--rows", type=int, default=0, help="of the training part; 0 is all of them")
    parser.add_argument("--test", type=int, default=0, help="of the test part, likewise")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=8, help="from scratch")
    asked = parser.parse_args()
    folder = asked.data / SET
    test = some(read(folder / "test.csv.gz", *SIDES), asked.test)
    print(circumstances(), "", sep="\n")
    print("| rows | seed | before | adapted | scratch | ahead | job, s | CPU, s | scratch, CPU s |")
    print("|---|---|---|---|---|---|---|---|---|")
    with service() as client:
        ready(client, BODY)
        before = figures(client, BODY, test)
        for seed in range(asked.seeds):
            pairs = some(read(folder / "train.csv.gz", *SIDES), asked.rows, seed=seed)
            model, seconds, used = adapted(client, pairs, seed=seed)
            after, other = figures(client, model, test), scratch(folder, asked, seed=seed)
            shown = [f"{one['chrf']:.2f} / {one['bleu']:.2f}" for one in (before, after, other)]
            ahead, times = after["chrf"] - other["chrf"], (seconds, used, other["cpu"])
            cells = [len(pairs), seed, *shown, f"{ahead:.2f}", *(f"{time:.0f}" for time in times)]
            print(f"| {' | '.join(map(str, cells))} |", flush=True)


if __name__ == "__main__":
    main()
