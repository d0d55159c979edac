"""Entities, answers and likeness adapted on minilm with everything "auto", beside peft and the HF Trainer as they are.

`python -m benchmarks.language DATA [--tasks ner qa similarity] [--rows 2000] [--test 1000] [--seeds 3]`, where DATA
holds a folder for each set. Each seed draws other rows to train on, the same for both. Figures on the same rows of the
test part, ours through HTTP: F1 of whole entities (seqeval), F1 and exact match (SQuAD), Spearman's correlation of
ranks. Seconds are wall time without the asking about test rows: of ours from the request to the published version, of
`benchmarks.plain_language` from the start of its process; CPU seconds are those of all threads of all processes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import httpx

from benchmarks.corpora import KINDS, Row, read, write
from benchmarks.service import HOME, circumstances, cpu_seconds, finished, service

AT_ONCE = 100  # rows in a request


@dataclass(frozen=True)
class Run:
    """Figures on the test rows, and what it took to get there."""

    figures: dict[str, float]
    seconds: float
    cpu: float


def said(client: httpx.Client, model: str, kind: str, rows: list[Row]) -> list[Any]:
    """What the model says of each row, in the form that figures are made of."""
    asked = {"ner": _words, "qa": _question, "similarity": _pair}[kind]
    answers: list[Any] = []
    for start in range(0, len(rows), AT_ONCE):
        request = {"inputs": [asked(row) for row in rows[start : start + AT_ONCE]]}
        answers += client.post(f"/v1/models/{model}/predict", json=request).raise_for_status().json()
    if kind == "ner":
        return [[(one["entity_group"], one["start"], one["end"]) for one in answer] for answer in answers]
    return [answer["answer"] if kind == "qa" else answer[0] for answer in answers]


def _words(row: Row) -> object:
    return " ".join(row["tokens"])


def _question(row: Row) -> object:
    return {"question": row["question"], "context": row["context"]}


def _pair(row: Row) -> object:
    return {"source_sentence": row["sentence1"], "sentences": [row["sentence2"]]}


def ours(client: httpx.Client, kind: str, train: Path, test: list[Row], *, name: str, seed: int) -> Run:
    """Through upload, queue, gate and predict."""
    with train.open("rb") as file:
        stored = client.post("/v1/files", data={"purpose": "fine-tune"}, files={"file": file}).raise_for_status().json()
    request = {"model": "minilm", "training_file": stored["id"], "suffix": name, "seed": seed}
    request["task"] = KINDS[kind].task
    started, used = time.monotonic(), cpu_seconds()
    job = client.post("/v1/fine_tuning/jobs", json=request).raise_for_status().json()
    done = finished(client, job["id"])
    seconds, used = time.monotonic() - started, cpu_seconds() - used
    scores = KINDS[kind].scores(said(client, str(done["fine_tuned_model"]), kind, test), test)
    return Run({figure: scores[figure] for figure in KINDS[kind].headline}, seconds, used)


def plain(kind: str, train: Path, test: Path) -> Run:
    """``benchmarks.plain_language`` as a process of its own."""
    checkpoint = next((HOME / "models" / "minilm").glob("*/checkpoint"))
    started = time.monotonic()
    command = [sys.executable, "-m", "benchmarks.plain_language", kind, str(checkpoint), str(train), str(test)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds = time.monotonic() - started
    found = json.loads(done.stdout.splitlines()[-1])
    return Run(found["figures"], seconds - found["asking"], found["cpu"])


def row(client: httpx.Client, kind: str, name: str, asked: argparse.Namespace) -> str:
    """One set: a row of the table."""
    folder, mine, theirs = asked.data / name, [], []
    test = read(folder, "test", most=asked.test)
    with tempfile.TemporaryDirectory() as place:
        other = write(Path(place) / "test.jsonl", test)
        for seed in range(asked.seeds):
            train = write(Path(place) / "train.jsonl", read(folder, "train", most=asked.rows, seed=seed))
            mine.append(ours(client, kind, train, test, name=name.replace("_", "-"), seed=seed))
            print(name, seed, mine[-1], file=sys.stderr, flush=True)
            if not asked.without_plain:
                theirs.append(plain(kind, train, other))
                print(name, seed, theirs[-1], file=sys.stderr, flush=True)
    cells = [kind, name, asked.rows]
    for runs in filter(None, (mine, theirs)):
        cells += [" / ".join(f"{mean(run.figures[figure] for run in runs):.4f}" for figure in runs[0].figures)]
        cells += [f"{mean(run.seconds for run in runs):.1f}", f"{mean(run.cpu for run in runs):.1f}"]
    if theirs:
        for what in ("seconds", "cpu"):
            cells.append(f"{sum(getattr(run, what) for run in mine) / sum(getattr(run, what) for run in theirs):.2f}")
    return f"| {' | '.join(map(str, cells))} |"


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--tasks", nargs="*", choices=tuple(KINDS), default=tuple(KINDS))
    parser.add_argument("--sets", nargs="*", default=(), help="of those of the tasks; all unless given")
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--test", type=int, default=1000, help="rows of the test part; 0 is all of them")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--without-plain", action="store_true")
    asked = parser.parse_args()
    print(circumstances(), "", sep="\n")
    print("| task | set | rows | ours | s | CPU, s | plain | s | CPU, s | s, ours / plain | CPU |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    with service() as client:
        for kind in asked.tasks:
            for name in KINDS[kind].sets:
                if name in (asked.sets or KINDS[kind].sets):
                    print(row(client, kind, name, asked), flush=True)


if __name__ == "__main__":
    main()
