"""Zips with a folder for each label, and a classifier adapted to one: what the tables of pictures and sounds share."""

from __future__ import annotations

import io
import random
import sys
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

import httpx
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.service import finished

Labelled = list[tuple[bytes, str]]
PICTURES, SOUNDS = (".jpg", ".jpeg", ".png"), (".wav", ".flac", ".ogg", ".mp3")


def read(path: Path, endings: tuple[str, ...]) -> Labelled:
    """Files with one of the endings, and the names of their folders."""
    with zipfile.ZipFile(path) as archive:
        names = sorted(name for name in archive.namelist() if name.lower().endswith(endings))
        return [(archive.read(name), Path(name).parent.name) for name in names]


def some(rows: Labelled, count: int, *, seed: int) -> Labelled:
    """A random choice with the labels as even as can be; all rows where there are no more."""
    if count >= len(rows):
        return rows
    shuffled = random.Random(seed).sample(rows, len(rows))
    turns: dict[str, int] = {}
    ranked = []
    for row in shuffled:
        turns[row[1]] = turns.get(row[1], 0) + 1
        ranked.append((turns[row[1]], row))
    return [row for _, row in sorted(ranked, key=lambda one: one[0])[:count]]


def packed(rows: Labelled, ending: str) -> bytes:
    """A zip with a folder for each label."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for place, (content, label) in enumerate(rows):
            archive.writestr(f"{label}/{place}{ending}", content)
    return buffer.getvalue()


def answer(client: httpx.Client, model: str, content: bytes) -> object:
    """What the model answers to one picture or sound, sent as it is."""
    return client.post(f"/v1/models/{model}/predict", content=content).raise_for_status().json()


def ours(
    client: httpx.Client, body: str, archive: bytes, test: Labelled, *, name: str, seed: int, **further: str
) -> tuple[float, float]:
    """Accuracy on ``test`` through upload, queue, gate and predict, and wall seconds of the job; ``further`` is asked
    of it."""
    sent = {"file": (f"{name}.zip", archive)}
    stored = client.post("/v1/files", data={"purpose": "fine-tune"}, files=sent).raise_for_status().json()
    request = {"model": body, "training_file": stored["id"], "suffix": name.replace("_", "-"), "seed": seed} | further
    started = time.monotonic()
    job = client.post("/v1/fine_tuning/jobs", json=request).raise_for_status().json()
    done = finished(client, job["id"])
    seconds = time.monotonic() - started
    model = str(done["fine_tuned_model"])
    right = [answer(client, model, content)[0]["label"] == label for content, label in test]  # type: ignore[index]
    print(f"{name}, seed {seed}: {np.mean(right):.4f}, {seconds:.0f} s", file=sys.stderr, flush=True)
    return float(np.mean(right)), seconds


def logistic(
    train: NDArray[np.float32], labels: Sequence[str], test: NDArray[np.float32], wanted: Sequence[str]
) -> float:
    """Test accuracy of the better of logistic regression on features as they come and standardised."""
    models = (LogisticRegression(max_iter=2000), make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)))
    right = np.array(wanted)
    return max(float(np.mean(model.fit(train, labels).predict(test) == right)) for model in models)
