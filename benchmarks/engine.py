"""The engine over HTTP beside the raw runtime, rival ways to form batches and other servers, in interleaved rounds.

`python -m benchmarks.engine`: ours, the oracle and the rival policies on the same graph.
`python -m benchmarks.engine --servers [NAME ...] --venvs FOLDER`: ours and other servers, each in its own environment
(`--install` prints what belongs in them); names are looked for inside the servers' names.
`--beside CHECKOUT`: the service of another checkout of this project too, in the same rounds.
`--rounds 3 --seconds 5`: how often, and how long the oracle's part of a round takes; no round begins after `--minutes`.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

from benchmarks import engine_metrics
from benchmarks.engine_model import prepared
from benchmarks.engine_oracle import Lone
from benchmarks.engine_policies import RIVALS, Stage, percentile
from benchmarks.engine_rounds import Bench, Figure, State, make, middle, turn
from benchmarks.engine_servers import INSTALL, OTHERS, Running, Server, ours
from benchmarks.engine_texts import ALONE, LISTS, SINGLES, SPREAD, Workload
from benchmarks.service import HOME, circumstances

VENVS = HOME / "venvs"
Figures = dict[str, list[Figure]]  # by contender


@dataclass(frozen=True)
class Rounds:
    """How many at most, none of which begins after so many minutes."""

    most: int
    minutes: float


def own(bench: Bench, rounds: Rounds, servers: Sequence[Server], *, policies: bool) -> None:
    """Ours on all workloads, with the rivals on the ones of single texts; the first server is the one of this checkout.

    Others are earlier or later states of this project.
    """
    workloads = (SINGLES, SPREAD, LISTS, ALONE)
    found: dict[str, Figures] = {workload.name: defaultdict(list) for workload in workloads}
    states: dict[str, list[State]] = defaultdict(list)
    raw = []
    try:
        for seed in _seeds(rounds):
            raw.append(bench.oracles["minilm"].lone(bench.texts(ALONE, seed=seed)))
            for server in servers:
                padding = _Padding()
                figures, state = turn(bench, server, workloads, seed, VENVS, padding.see)
                _tell(seed, server, figures)
                states[server.name].append(state)
                for name, figure in figures.items():
                    found[name][server.name].append(replace(figure, waste=padding.waste.get(name)))
            if policies:
                for workload in (SINGLES, SPREAD):
                    _play(bench, workload, seed, found[workload.name])
    finally:  # what was measured before an interruption is told too
        for workload in workloads:
            _print_figures(workload, bench, found[workload.name])
        _print_added(found[ALONE.name], raw)
        print("\n| texts one by one over lists of 32, each by its oracle | |\n|---|---|")
        for server in servers:
            pairs = zip(found[SINGLES.name][server.name], found[LISTS.name][server.name], strict=False)
            if quotients := [one.share / other.share for one, other in pairs]:
                print(f"| {server.name} | {middle(quotients)} |")
        _print_states(states)


class _Padding:
    """Asks a service after each workload how much of what it computed was padding."""

    def __init__(self) -> None:
        self.waste: dict[str, float] = {}
        self._known: dict[str, float] = {}

    def see(self, running: Running, workload: Workload, before: bool) -> None:
        """Note the counters before a workload, and what has come on top after it."""
        waste = engine_metrics.waste(running.port, self._known)
        if waste is not None and not before:
            self.waste[workload.name] = waste


def _print_added(found: Figures, raw: Sequence[Lone]) -> None:
    print("\nOne client, 16 tokens, over the fastest run with all cores of the same round:\n")
    print("| | raw p50, ms | p99 | added p50, ms | added p99 |\n|---|---|---|---|---|")
    for name, figures in found.items():
        columns = (
            [one.p50 for one in raw],
            [one.p99 for one in raw],
            [one.p50 - lone.p50 for one, lone in zip(figures, raw, strict=False)],
            [one.p99 - lone.p99 for one, lone in zip(figures, raw, strict=False)],
        )
        print(f"| {name} | {' | '.join(map(middle, columns))} |")


def compare(bench: Bench, rounds: Rounds, names: list[str], venvs: Path) -> None:
    """Ours and others; one that does not start is named and left out."""
    workloads = (SINGLES, SPREAD, LISTS, ALONE)
    found: dict[str, Figures] = {workload.name: defaultdict(list) for workload in workloads}
    states: dict[str, list[State]] = defaultdict(list)
    chosen = [ours(), *(one for one in OTHERS if not names or any(name in one.name for name in names))]
    try:
        for seed in _seeds(rounds):
            for server in list(chosen):
                try:
                    figures, state = turn(bench, server, _served(server, workloads), seed, venvs)
                except (RuntimeError, OSError) as error:
                    print(f"left out: {server.name}: {error}", file=sys.stderr)
                    chosen.remove(server)
                    continue
                _tell(seed, server, figures)
                states[server.name].append(state)
                for name, figure in figures.items():
                    found[name][server.name].append(figure)
    finally:
        for workload in workloads:
            _print_figures(workload, bench, found[workload.name])
        _print_states(states)


def _served(server: Server, workloads: tuple[Workload, ...]) -> list[Workload]:
    """Others have one model, whose limit is that of short texts; only ours is asked for long ones by name."""
    return [one for one in workloads if one.model == "minilm" or not server.venv]


def _seeds(rounds: Rounds) -> Iterator[int]:
    """Rounds as long as there is time; what a round has begun is finished."""
    until = time.monotonic() + 60 * rounds.minutes
    for seed in range(rounds.most):
        if time.monotonic() > until:
            print(f"{rounds.minutes:g} minutes are over after {seed} rounds", file=sys.stderr)
            return
        yield seed


def _tell(seed: int, server: Server, figures: dict[str, Figure]) -> None:
    shares = ", ".join(f"{name} {figure.share:.2f} of the oracle" for name, figure in figures.items())
    print(f"round {seed + 1}: {server.name}: {shares}", file=sys.stderr, flush=True)


def _play(bench: Bench, workload: Workload, seed: int, found: Figures) -> None:
    model = bench.models[workload.model]
    texts = bench.texts(workload, seed=seed)
    stage = Stage(model.folder, limit=model.limit)
    try:
        for policy in RIVALS:
            ceiling = bench.oracles[workload.model].ceiling(texts)
            trial = stage.play(policy.name, texts, clients=workload.clients)
            found[policy.name].append(
                Figure(
                    rate=len(texts) / trial.seconds,
                    share=ceiling.run / trial.seconds,
                    whole_share=ceiling.whole / trial.seconds,
                    p50=percentile(trial, 50),
                    p99=percentile(trial, 99),
                    waste=trial.waste,
                )
            )
    finally:
        stage.close()


def _print_figures(workload: Workload, bench: Bench, found: Figures) -> None:
    print(f"\n{workload.name} (oracle: {bench.oracles[workload.model].setting})\n")
    print("| | texts/s | ÷ oracle | ÷ oracle that tokenises | p50, ms | p99, ms | padding | client, cores | refused |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, figures in found.items():
        told = [one.waste for one in figures if one.waste is not None]
        cells = [
            middle([one.rate for one in figures], 0),
            middle([one.share for one in figures]),
            middle([one.whole_share for one in figures]),
            middle([one.p50 for one in figures], 1),
            middle([one.p99 for one in figures], 1),
            middle(told) if told else "not told",
            middle([one.client for one in figures]) if any(one.client for one in figures) else "–",
            str(sum(one.refused for one in figures)),
        ]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def _print_states(states: dict[str, list[State]]) -> None:
    print("\n| | first answer, s | memory, MB: largest process | all processes | idle, cores |\n|---|---|---|---|---|")
    for name, some in states.items():
        columns = [
            ([one.first_answer for one in some], 2),
            ([one.largest for one in some], 0),
            ([one.whole for one in some], 0),
            ([one.idle for one in some], 3),
        ]
        print(f"| {name} | {' | '.join(middle(values, digits) for values, digits in columns)} |")


def ends_cleanly() -> None:
    """SIGTERM ends the program as an error would, so that every process that it started is ended."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, leave)


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--servers", nargs="*", metavar="NAME")
    parser.add_argument("--venvs", type=Path, default=VENVS)
    parser.add_argument("--beside", type=Path, nargs="*", default=[], metavar="CHECKOUT")
    parser.add_argument("--install", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--no-policies", action="store_true")
    asked = parser.parse_args()
    if asked.install:
        for name, packages in INSTALL.items():
            print(f"python -m venv {asked.venvs / name} && {asked.venvs / name}/bin/pip install '{packages}'")
        return
    ends_cleanly()
    rounds = Rounds(asked.rounds, asked.minutes)
    bench = make(prepared(), (SINGLES, SPREAD, LISTS, ALONE), asked.seconds)
    try:
        print(circumstances(), flush=True)
        if asked.servers is None:
            beside = [ours(name=f"AdaptZoo in {one.name}", folder=one.resolve()) for one in asked.beside]
            own(bench, rounds, [ours(), *beside], policies=not asked.no_policies)
        else:
            compare(bench, rounds, asked.servers, asked.venvs)
    finally:
        for oracle in bench.oracles.values():
            oracle.close()


if __name__ == "__main__":
    main()
