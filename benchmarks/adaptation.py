"""Adaptation with everything "auto", beside (a) a probe on frozen features and (b) peft and the HF Trainer as they are.

`python -m benchmarks.adaptation DATA [--sets sms_spam …]`, where DATA holds a folder for each set with `train.csv.gz`
and `test.csv.gz` (columns text and label). At most 2,000 rows of each, the same for all three; accuracy on the whole
test part. Wall time of ours is the job's, from the request to the published version: process start, features,
training, export, gate.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import numpy as np
from sklearn.linear_model import LogisticRegression

from benchmarks.service import HOME, circumstances, finished, service

SETS = ("sms_spam", "banking77", "trec", "sst2")
ROWS = 2000
Pairs = list[tuple[str, str]]


def read(folder: Path, part: str, *, most: int | None = None) -> Pairs:
    """Rows of one part; with ``most`` a random choice of them, the same each time."""
    with gzip.open(folder / f"{part}.csv.gz", "rt", newline="", encoding="utf-8") as file:
        rows = [(row["text"], row["label"]) for row in csv.DictReader(file)]
    if most is not None and len(rows) > most:
        random.Random(0).shuffle(rows)
        rows = rows[:most]
    return rows


def write(path: Path, rows: Pairs) -> Path:
    """A CSV file with the columns text and label."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows(rows)
    return path


def in_lists(client: httpx.Client, model: str, texts: list[str]) -> list[object]:
    """What the model answers to each text."""
    answers: list[object] = []
    for start in range(0, len(texts), 500):
        answer = client.post(f"/v1/models/{model}/predict", json={"inputs": texts[start : start + 500]})
        answers += answer.raise_for_status().json()
    return answers


def probe(client: httpx.Client, train: Pairs, test: Pairs) -> float:
    """(a) scikit-learn's logistic regression, its defaults, on the frozen embeddings of minilm."""
    vectors = np.array(in_lists(client, "minilm", [text for text, _ in train]))
    model = LogisticRegression(max_iter=1000).fit(vectors, [label for _, label in train])
    right = model.predict(np.array(in_lists(client, "minilm", [text for text, _ in test])))
    return float(np.mean([answer == label for answer, (_, label) in zip(right, test, strict=True)]))


def plain(train: Path, test: Path) -> tuple[float, float]:
    """(b) accuracy and wall seconds of ``benchmarks.plain_trainer`` as a process of its own."""
    checkpoint = next((HOME / "models" / "minilm").glob("*/checkpoint"))
    started = time.monotonic()
    command = [sys.executable, "-m", "benchmarks.plain_trainer", str(checkpoint), str(train), str(test)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds = time.monotonic() - started
    return float(json.loads(done.stdout.splitlines()[-1])["accuracy"]), seconds


def ours(client: httpx.Client, name: str, train: Path, test: Pairs) -> tuple[float, float]:
    """Accuracy through HTTP and wall seconds of the job."""
    with train.open("rb") as file:
        stored = client.post("/v1/files", data={"purpose": "fine-tune"}, files={"file": file}).json()
    request = {"model": "minilm", "training_file": stored["id"], "suffix": name.replace("_", "-"), "seed": 0}
    started = time.monotonic()
    job = client.post("/v1/fine_tuning/jobs", json=request).json()
    done = finished(client, job["id"])
    seconds = time.monotonic() - started
    answers = in_lists(client, str(done["fine_tuned_model"]), [text for text, _ in test])
    right = [answer[0]["label"] == label for answer, (_, label) in zip(answers, test, strict=True)]  # type: ignore[index]
    return float(np.mean(right)), seconds


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--sets", nargs="*", default=SETS)
    parser.add_argument("--without-plain", action="store_true", help="leave (b) out")
    asked = parser.parse_args()
    print(circumstances(), "", "| set | ours | (a) probe | (b) plain | ours, s | (b), s | ours / (b) |", sep="\n")
    print("|---|---|---|---|---|---|---|")
    with service() as client, tempfile.TemporaryDirectory() as folder:
        for name in asked.sets:
            train, test = read(asked.data / name, "train", most=ROWS), read(asked.data / name, "test")
            paths = write(Path(folder) / "train.csv", train), write(Path(folder) / "test.csv", test)
            mine, seconds = ours(client, name, paths[0], test)
            linear = probe(client, train, test)
            other, longer = (float("nan"), float("nan")) if asked.without_plain else plain(*paths)
            figures = f"{mine:.4f} | {linear:.4f} | {other:.4f} | {seconds:.1f} | {longer:.1f} | {seconds / longer:.2f}"
            print(f"| {name} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
