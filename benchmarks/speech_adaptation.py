"""Adapting a recogniser with everything "auto" to one reader, and to strings of digits: word error rate before, after.

`python -m benchmarks.speech_adaptation DATA [--sets kathleen digits] [--seeds 0 1 2]`, where DATA holds
`asr_kathleen` and `fsdd`, each with `train.zip` and `test.zip`. Through upload, queue, gate and predict; in lower case
without punctuation, and for strings of digits "1 2" counts as "one two". The strings are joined from clips of single
digits at 8 kHz: three to six of one speaker with short pauses. Speakers of the test strings are none of the training
strings', and their clips come from the set's test part.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
import time
import zipfile
from collections import defaultdict
from pathlib import Path
from statistics import mean
from typing import NamedTuple

import httpx
import numpy as np
import soundfile
from numpy.typing import NDArray

from adapters.training.speech.scores import edits, normalised
from benchmarks.service import HOME, circumstances, finished, ready, service

BODY = "whisper-tiny-en"
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
APART = ("theo", "yweweler")  # speakers of the test strings
TRAIN_STRINGS, TEST_STRINGS = 300, 150
RATE = 8_000


class Part(NamedTuple):
    """Clips and what is said in them."""

    clips: list[bytes]
    said: list[str]


def read(path: Path) -> Part:
    """A zip with `metadata.csv` (file_name, text)."""
    with zipfile.ZipFile(path) as archive:
        rows = list(csv.DictReader(io.StringIO(archive.read("metadata.csv").decode())))
        return Part([archive.read(row["file_name"]) for row in rows], [row["text"] for row in rows])


def write(path: Path, part: Part) -> Path:
    """As `read` reads it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(["file_name", "text"])
    with zipfile.ZipFile(path, "w") as archive:
        for place, (clip, said) in enumerate(zip(*part, strict=True)):
            archive.writestr(f"{place}.flac", clip)
            writer.writerow([f"{place}.flac", said])
        archive.writestr("metadata.csv", table.getvalue())
    return path


def strings(path: Path, count: int, *, apart: bool, seed: int) -> Part:
    """Strings of digits by the speakers that are kept apart, or by the others; the same for the same seed."""
    spoken: dict[str, dict[int, list[NDArray[np.float32]]]] = defaultdict(lambda: defaultdict(list))
    with zipfile.ZipFile(path) as archive:
        for name in sorted(name for name in archive.namelist() if name.endswith(".flac")):
            digit, speaker, _ = Path(name).stem.split("_")
            if (speaker in APART) == apart:
                spoken[speaker][int(digit)].append(soundfile.read(io.BytesIO(archive.read(name)), dtype="float32")[0])
    draw, part = np.random.default_rng(seed), Part([], [])
    for _ in range(count):
        of_one = spoken[sorted(spoken)[draw.integers(len(spoken))]]
        digits = draw.integers(10, size=draw.integers(3, 7)).tolist()
        parts = [_pause(draw)]
        for digit in digits:
            parts += [of_one[digit][draw.integers(len(of_one[digit]))], _pause(draw)]
        file = io.BytesIO()
        soundfile.write(file, np.concatenate(parts), RATE, format="FLAC")
        part.clips.append(file.getvalue())
        part.said.append(" ".join(DIGITS[digit] for digit in digits))
    return part


def _pause(draw: np.random.Generator) -> NDArray[np.float32]:
    """Faint noise of 0.1 to 0.3 s."""
    return np.asarray(1e-4 * draw.standard_normal(int(draw.uniform(0.1, 0.3) * RATE)), dtype=np.float32)


def words(text: str, *, digits: bool) -> list[str]:
    """What is compared; numerals are the words of their digits where those are meant."""
    found = normalised(text).split()
    if not digits:
        return found
    return [said for word in found for said in ([DIGITS[int(one)] for one in word] if word.isdecimal() else [word])]


def error_rate(client: httpx.Client, model: str, test: Part, *, digits: bool) -> float:
    """Of the model's answers to single clips, over all words of the part."""
    wrong = total = 0
    for clip, said in zip(*test, strict=True):
        answer = client.post(f"/v1/models/{model}/predict", content=clip).raise_for_status().json()
        true = words(said, digits=digits)
        wrong, total = wrong + edits(words(answer["text"], digits=digits), true), total + len(true)
    return wrong / total


def adapted(client: httpx.Client, path: Path, name: str, *, seed: int) -> tuple[str, float]:
    """The version that a job made, and its wall seconds."""
    with path.open("rb") as file:
        stored = client.post("/v1/files", data={"purpose": "fine-tune"}, files={"file": file}).raise_for_status().json()
    request = {"model": BODY, "training_file": stored["id"], "suffix": name, "seed": seed}
    started = time.monotonic()
    job = client.post("/v1/fine_tuning/jobs", json=request).raise_for_status().json()
    done = finished(client, job["id"])
    return str(done["fine_tuned_model"]), time.monotonic() - started


def parts(data: Path, name: str) -> tuple[Path, Part]:
    """The zip to train on, and the test part."""
    if name == "kathleen":
        return data / "asr_kathleen" / "train.zip", read(data / "asr_kathleen" / "test.zip")
    train = strings(data / "fsdd" / "train.zip", TRAIN_STRINGS, apart=False, seed=1)
    test = strings(data / "fsdd" / "test.zip", TEST_STRINGS, apart=True, seed=2)
    return write(HOME / "digit-strings" / "train.zip", train), test


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--sets", nargs="*", default=("kathleen", "digits"), choices=("kathleen", "digits"))
    parser.add_argument("--seeds", nargs="*", type=int, default=(0, 1, 2))
    asked = parser.parse_args()
    print(circumstances(), "", "| set | WER before | after, by seed | mean | after / before | job, s |", sep="\n")
    print("|---|---|---|---|---|---|")
    with service() as client:
        ready(client, BODY)
        for name in asked.sets:
            digits = name == "digits"
            train, test = parts(asked.data, name)
            before = error_rate(client, BODY, test, digits=digits)
            rates, seconds = [], []
            for seed in asked.seeds:
                model, took = adapted(client, train, name, seed=seed)
                rates.append(error_rate(client, model, test, digits=digits))
                seconds.append(took)
                print(
                    f"{name}, seed {seed}: {before:.4f} -> {rates[-1]:.4f}, {took:.0f} s", file=sys.stderr, flush=True
                )
            shown = " ".join(f"{rate:.4f}" for rate in rates)
            share = mean(rates) / before
            print(
                f"| {name} | {before:.4f} | {shown} | {mean(rates):.4f} | {share:.2f} | {mean(seconds):.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
