"""Sounds and pictures through the engine over HTTP, beside the bare runtime and FIFO batches, in interleaved rounds.

`python -m benchmarks.engine_media DATA [--only audio] [--rounds 3] [--seconds 4] [--minutes 10]`, where DATA holds a
folder for each set. Audio: `spoken-digits`, Whisper tiny's encoder at the length of the clip under a small head, on
clips of .2 to 7 s; batches of a fixed count in the order of arrival run on the same graph without HTTP. Pictures:
`effnet-lite0` on JPEGs of 480 x 360. Everyone decodes; 32 clients ask one by one. The raw loop knows everything
beforehand and takes the fastest of many ways to spend the cores; `--seconds` is its part of a round. No round begins
after `--minutes`; what was measured before an interruption is printed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import sys
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from benchmarks import engine_metrics
from benchmarks.engine import ends_cleanly
from benchmarks.engine_load import Load, measure, post
from benchmarks.engine_policies import Stage, percentile
from benchmarks.engine_rounds import Figure, Rounds, middle
from benchmarks.labelled import PICTURES, SOUNDS, read
from benchmarks.media_graph import MediaGraph, RawLoop
from benchmarks.service import MEDIA_HOME, circumstances, service

CLIENTS = 32
OURS = "AdaptZoo over HTTP"
PICTURE = 224 * 224


@dataclass(frozen=True)
class Medium:
    """What is sent to which model, as often from each of ``sets``.

    ``budgets``: costs of a run that the raw loop tries; ``rivals``: policies that the engine is compared with.
    """

    model: str
    sets: tuple[str, ...]
    endings: tuple[str, ...]
    budgets: tuple[int, ...]
    rivals: tuple[str, ...] = ()

    def items(self, data: Path) -> list[bytes]:
        """In an order that is always the same; none twice."""
        drawn = random.Random(0)
        kinds = [[content for content, _ in read(data / name / "test.zip", self.endings)] for name in self.sets]
        for kind in kinds:
            drawn.shuffle(kind)
        return [item for some in zip(*kinds, strict=False) for item in some]


MEDIA = {
    "audio": Medium(
        *("spoken-digits", ("fsdd", "speech_commands_small", "asr_kathleen"), SOUNDS),
        budgets=(0, 500, 1500),
        rivals=("FIFO, 32 rows, 5 ms", "FIFO, 4 rows, no timer", "every item alone"),
    ),
    "pictures": Medium("effnet-lite0", ("camvid",), PICTURES, budgets=(0, 4 * PICTURE)),
}


class Contest:
    """One medium: its items, the raw loop and the rivals, each in a process of its own."""

    def __init__(self, medium: Medium, data: Path, client: httpx.Client, seconds: float) -> None:
        self.medium = medium
        self.figures: dict[str, list[Figure]] = defaultdict(list)
        self._items, self._client, self._seconds = medium.items(data), client, seconds
        spawn = multiprocessing.get_context("spawn")
        sample = self._items[:36]
        self._raw = ProcessPoolExecutor(1, spawn, _load, (medium.model, medium.budgets, sample))
        self.way: str = self._raw.submit(_way).result()
        self._rate = len(sample) / self._time(sample)
        make = partial(MediaGraph, medium.model, threads=1)
        self._stage = Stage(make, warm=sample[0]) if medium.rivals else None

    def check(self, count: int = 4) -> None:
        """Raise ``RuntimeError`` unless the service answers as the bare graph does."""
        for item in self._items[:count]:
            right = self._raw.submit(_answer, item).result()
            path = f"/v1/models/{self.medium.model}/predict"
            told = self._client.post(path, content=item).raise_for_status().json()
            for one, other in zip(right, told, strict=True):
                if abs(one["score"] - other["score"]) > 1e-3:
                    raise RuntimeError(f"{self.medium.model} answers {told}, the bare graph {right}")

    def round(self, seed: int) -> None:
        """Ours and every rival, each right after the raw loop has had the same items."""
        wanted = max(2 * CLIENTS, int(self._rate * self._seconds))
        drawn = random.Random(seed)
        items = [
            item for _ in range(-(-wanted // len(self._items))) for item in drawn.sample(self._items, len(self._items))
        ]
        items = items[:wanted]
        for name in (OURS, *self.medium.rivals):
            raw = self._time(items)
            figure = self._ours(items, raw) if name == OURS else self._rival(name, items, raw)
            self.figures[name].append(figure)
            print(f"round {seed + 1}: {name}: {figure.share:.2f} of the raw loop", file=sys.stderr, flush=True)

    def close(self) -> None:
        """End the processes."""
        self._raw.shutdown(cancel_futures=True)
        if self._stage is not None:
            self._stage.close()

    def _time(self, items: Sequence[bytes]) -> float:
        return self._raw.submit(_seconds, items).result()

    def _ours(self, items: Sequence[bytes], raw: float) -> Figure:
        path = f"/v1/models/{self.medium.model}/predict"
        requests = [post(path, item, kind="application/octet-stream") for item in items]
        port, known = int(self._client.base_url.port or 0), dict[str, float]()
        engine_metrics.waste(port, known)
        outcome = measure(Load(port, requests, CLIENTS, limit=4 * max(self._seconds, raw)))
        done = len(outcome.answered) / len(items)
        return Figure(
            rate=done * len(items) / outcome.seconds,
            share=done * raw / outcome.seconds,
            whole_share=done * raw / outcome.seconds,
            p50=outcome.percentile(50),
            p99=outcome.percentile(99),
            client=outcome.client_cpu / outcome.seconds,
            refused=sum(count for status, count in outcome.statuses.items() if status != 200) + outcome.lost,
            waste=engine_metrics.waste(port, known),
        )

    def _rival(self, name: str, items: Sequence[bytes], raw: float) -> Figure:
        assert self._stage is not None
        trial = self._stage.play(name, items, clients=CLIENTS)
        return Figure(
            rate=len(items) / trial.seconds,
            share=raw / trial.seconds,
            whole_share=raw / trial.seconds,
            p50=percentile(trial, 50),
            p99=percentile(trial, 99),
            waste=trial.waste,
        )


_loops: list[RawLoop] = []  # of the raw loop's process; the pool calls plain functions


def _load(model: str, budgets: Sequence[int], sample: Sequence[bytes]) -> None:
    _loops.append(RawLoop(model, budgets=budgets, sample=sample))


def _way() -> str:
    return str(_loops[0].way)


def _seconds(items: Sequence[bytes]) -> float:
    return _loops[0].seconds(items)


def _answer(item: bytes) -> Any:
    return _loops[0].answer(item)


def print_contest(name: str, contest: Contest) -> None:
    """Speed and latency, and ours over each of the others by rounds."""
    print(f"\n{name}: {contest.medium.model}, {CLIENTS} clients, one each (raw loop: {contest.way})\n")
    print("| | a second | ÷ raw loop | p50, ms | p99, ms | padding | client, cores | refused | ours over it |")
    print("|---|---|---|---|---|---|---|---|---|")
    own = contest.figures[OURS]
    for one, figures in contest.figures.items():
        both = [mine.share / other.share for mine, other in zip(own, figures, strict=False)]
        told = [figure.waste for figure in figures if figure.waste is not None]
        cells = [
            middle([figure.rate for figure in figures], 1),
            middle([figure.share for figure in figures]),
            middle([figure.p50 for figure in figures], 0),
            middle([figure.p99 for figure in figures], 0),
            middle(told) if told else "not told",
            middle([figure.client for figure in figures]) if one == OURS else "–",
            str(sum(figure.refused for figure in figures)),
            "–" if one == OURS else middle(both),
        ]
        print(f"| {one} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", nargs="*", choices=MEDIA, default=list(MEDIA))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--minutes", type=float, default=10.0)
    asked = parser.parse_args()
    ends_cleanly()
    contests: dict[str, Contest] = {}
    with ExitStack() as stack:
        models = [MEDIA[name].model for name in asked.only]
        client = stack.enter_context(service(home=MEDIA_HOME, models=models))
        print(circumstances(), flush=True)
        for name in asked.only:
            contests[name] = Contest(MEDIA[name], asked.data, client, asked.seconds)
            stack.callback(contests[name].close)
            contests[name].check()
        try:
            for seed in Rounds(asked.rounds, asked.minutes).seeds():
                for contest in contests.values():
                    contest.round(seed)
        finally:
            for name, contest in contests.items():
                if contest.figures[OURS]:
                    print_contest(name, contest)


if __name__ == "__main__":
    main()
