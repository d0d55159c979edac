"""Speech side by side in one run: ours, faster-whisper on the very same weights and audio, transformers' pipeline.

`python -m benchmarks.speech DATA --faster-whisper FOLDER [--minutes 30] [--clips 100] [--threads N] [--rounds 1]
[--only file]`: DATA holds `asr_kathleen/test.zip` and FOLDER is made by
`pip install --target FOLDER faster-whisper==1.2.1`. The model has to be in the zoo at `--home` in both precisions:
`zoo pull whisper-tiny-en`, then the same with `--precision int8`.

Rows: clips one at a time, eight at once, and one long file joined of them. Every engine has the same number of threads
and a process of its own; in each round all engines of a row follow one another, and the best round counts. Word errors
are counted in lower case without punctuation. Seconds of audio for each second, and for each second of processor time:
on a machine that is busy with other work the second is the one to compare.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import soundfile

from benchmarks.service import HOME, circumstances
from benchmarks.spoken import read_clips, word_error_rate, write_recording
from zoo.catalogue.store import Store
from zoo.engine.threads import granted_threads

MODEL = "whisper-tiny-en"
KINDS = ("one", "eight", "file")  # of rows
THEIRS = ("faster-whisper", "faster-whisper, batched")


@dataclass(frozen=True)
class Row:
    """Files that are written down, so many at once, and what is said in them; ``warm`` is written down before."""

    name: str
    paths: Sequence[Path]
    said: Sequence[str]
    at_once: int
    engines: Sequence[str]
    warm: Path

    @property
    def seconds(self) -> float:
        return float(sum(soundfile.info(path).duration for path in self.paths))


@dataclass(frozen=True)
class Measured:
    """Word error rate, and seconds of audio for a second of time and of processor time."""

    errors: float
    speed: float
    thrift: float


def rows(folder: Path, data: Path, *, clips: int | None, minutes: float) -> list[Row]:
    """The files are written to the folder."""
    known = read_clips(data / "asr_kathleen" / "test.zip", clips)
    paths = [folder / f"{place}.ogg" for place in range(len(known))]
    for path, clip in zip(paths, known, strict=True):
        path.write_bytes(clip.sound)
    said, long = [clip.text for clip in known], folder / "long.flac"
    joined = write_recording(known, minutes, long)
    one_by_one = ("ours", "faster-whisper", "transformers")
    return [
        Row("clips, one at a time", paths, said, 1, one_by_one, paths[0]),
        Row("clips, eight at once", paths, said, 8, ("ours", "faster-whisper"), paths[0]),
        Row(f"one file of {minutes:g} minutes", [long], [joined], 1, ("ours", *THEIRS), paths[0]),
    ]


def measured(row: Row, engine: str, precision: str, given: argparse.Namespace, versions: dict[str, str]) -> Measured:
    """One engine's way through one row, in a process of its own."""
    name, _, version = versions["fp32"].partition("@")
    request = {
        "engine": engine,
        "home": str(given.home),
        "checkpoint": str(Store(given.home).folder(name, int(version)) / "checkpoint"),
        "version": versions[precision],
        "precision": precision,
        "threads": given.threads,
        "at_once": row.at_once,
        "warm": str(row.warm),
        "paths": [str(path) for path in row.paths],
    }
    environment = {**os.environ, "OMP_NUM_THREADS": str(given.threads)}
    if engine.startswith("faster-whisper"):
        environment["PYTHONPATH"] = os.pathsep.join([str(given.faster_whisper), str(Path.cwd())])
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.speech_engines"],
        input=json.dumps(request),
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    texts, spent, busy = json.loads(done.stdout.splitlines()[-1])
    return Measured(word_error_rate(row.said, texts), row.seconds / spent, row.seconds / busy)


def versions_of(home: Path) -> dict[str, str]:
    """The newest version of the model in each precision."""
    store = Store(home)
    entries = [store.entry(MODEL, version) for version in sorted(store.versions(MODEL))]
    found = {entry.precision: entry.reference for entry in entries}
    if missing := {"fp32", "int8"} - set(found):
        raise SystemExit(
            f"{MODEL} is not in {home} as {' and '.join(sorted(missing))}: see the first lines of this script."
        )
    return {str(precision): reference for precision, reference in found.items()}


def lines(row: Row, precision: str, given: argparse.Namespace, versions: dict[str, str]) -> Iterator[str]:
    """A line of the table for each engine."""
    engines = [one for one in row.engines if precision == "fp32" or one != "transformers"]
    best: dict[str, Measured] = {}
    for _ in range(given.rounds):
        for engine in engines:
            found = measured(row, engine, precision, given, versions)
            best[engine] = max(best.get(engine, found), found, key=lambda one: one.speed)
    for engine, one in best.items():
        ratios = (best["ours"].speed / one.speed, best["ours"].thrift / one.thrift)
        yield (
            f"| {row.name} | {precision} | {engine} | {one.errors:.4f} | {one.speed:.1f} | {one.thrift:.1f} "
            f"| {ratios[0]:.2f} | {ratios[1]:.2f} |"
        )


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("data", type=Path)
    asked.add_argument("--faster-whisper", type=Path, required=True)
    asked.add_argument("--home", type=Path, default=HOME)
    asked.add_argument("--minutes", type=float, default=30)
    asked.add_argument("--clips", type=int)
    asked.add_argument("--threads", type=int, default=granted_threads())
    asked.add_argument("--rounds", type=int, default=1)
    asked.add_argument("--only", nargs="+", choices=KINDS, default=KINDS)
    asked.add_argument("--precisions", nargs="+", choices=("fp32", "int8"), default=("fp32", "int8"))
    given: Any = asked.parse_args()
    versions = versions_of(given.home)
    print(f"{circumstances()}, {given.threads} threads, best of {given.rounds}")
    print("| | weights | engine | WER | audio s / s | / s of processor time | ours / it | of processor time |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        made = rows(Path(folder), given.data, clips=given.clips, minutes=given.minutes)
        for row in (row for kind, row in zip(KINDS, made, strict=True) if kind in given.only):
            for precision in given.precisions:
                for line in lines(row, precision, given, versions):
                    print(line, flush=True)


if __name__ == "__main__":
    main()
