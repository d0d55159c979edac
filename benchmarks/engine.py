"""The engine over HTTP beside the raw runtime, rival ways to form batches and other servers, in interleaved rounds.

`python -m benchmarks.engine`: ours, the oracle and the rival policies on the same graph.
`python -m benchmarks.engine --servers [NAME ...] --venvs FOLDER`: ours and other servers, each in its own environment
(`--install` prints what belongs in them); names are looked for inside the servers' names.
`--beside CHECKOUT`: the service of another checkout of this project too, in the same rounds.
`--rounds 3 --seconds 5`: how often, and how long the oracle's part of a round takes; no round, and no other server's
turn in one, begins after `--minutes`. `--workloads singles alone`: some of the loads only. What was measured before an
interruption is printed.
"""

from __future__ import annotations

import argparse
import shlex
import signal
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FrameType

from benchmarks import engine_metrics
from benchmarks.engine_comparison import compare
from benchmarks.engine_model import prepared
from benchmarks.engine_oracle import Graph, Lone
from benchmarks.engine_policies import RIVALS, Stage, percentile
from benchmarks.engine_rounds import Bench, Figure, Rounds, State, make, middle, turn
from benchmarks.engine_servers import INSTALL, OTHERS, Server, ours
from benchmarks.engine_tables import Figures, print_figures, print_states, tell
from benchmarks.engine_texts import ALONE, LISTS, SINGLES, SPREAD, Workload
from benchmarks.server_process import Running
from benchmarks.service import HOME, circumstances

VENVS = HOME / "venvs"
WORKLOADS = {"singles": SINGLES, "spread": SPREAD, "lists": LISTS, "alone": ALONE}


def own(
    bench: Bench, rounds: Rounds, servers: Sequence[Server], workloads: Sequence[Workload], *, policies: bool
) -> None:
    """Ours on all workloads, with the rivals on the ones of single texts; the first server is the one of this checkout.

    Others are earlier or later states of this project.
    """
    found: dict[str, Figures] = {workload.name: defaultdict(list) for workload in workloads}
    states: dict[str, list[State]] = defaultdict(list)
    raw: list[Lone] = []
    rivalled = [one for one in workloads if policies and one.together == 1 < one.clients]
    try:
        for seed in rounds.seeds():
            if ALONE in workloads:
                raw.append(bench.oracles["minilm"].lone(bench.texts(ALONE, seed=seed)))
            for server in servers:
                padding = _Padding()
                figures, state = turn(bench, server, workloads, seed, VENVS, padding.see)
                tell(seed, server, figures)
                states[server.name].append(state)
                for name, figure in figures.items():
                    found[name][server.name].append(replace(figure, waste=padding.waste.get(name)))
            for workload in rivalled:
                _play(bench, workload, seed, found[workload.name])
    finally:  # what was measured before an interruption is told too
        for workload in workloads:
            print_figures(workload, bench, found[workload.name])
        _print_added(found.get(ALONE.name, {}), raw)
        _print_lists(found.get(SINGLES.name, {}), found.get(LISTS.name, {}), servers)
        print_states(states)


def _print_lists(singles: Figures, lists: Figures, servers: Sequence[Server]) -> None:
    print("\n| texts one by one over lists of 32, each by its oracle | |\n|---|---|")
    for server in servers:
        pairs = zip(singles.get(server.name, []), lists.get(server.name, []), strict=False)
        if quotients := [one.share / other.share for one, other in pairs]:
            print(f"| {server.name} | {middle(quotients)} |")


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


def _play(bench: Bench, workload: Workload, seed: int, found: Figures) -> None:
    model = bench.models[workload.model]
    texts = bench.texts(workload, seed=seed)
    stage = Stage(partial(Graph, model.folder, threads=1, limit=model.limit), warm="warm")
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
    parser.add_argument("--workloads", nargs="*", default=[], metavar="NAME", help=", ".join(WORKLOADS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, help="5 unless given, 2 with --servers")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--no-policies", action="store_true")
    asked = parser.parse_args()
    if asked.install:
        for name, packages in INSTALL.items():
            pip = shlex.join([f"{asked.venvs / name}/bin/pip", "install", *packages.split()])
            print(f"python -m venv {asked.venvs / name} && {pip}")
        return
    ends_cleanly()
    rounds = Rounds(asked.rounds, asked.minutes)
    seconds = asked.seconds or (5.0 if asked.servers is None else 2.0)
    chosen = [WORKLOADS[name] for name in asked.workloads or WORKLOADS]
    bench = make(prepared(), chosen, seconds)
    try:
        print(circumstances(), flush=True)
        if asked.servers is None:
            beside = [ours(name=f"AdaptZoo in {one.name}", folder=one.resolve()) for one in asked.beside]
            own(bench, rounds, [ours(), *beside], chosen, policies=not asked.no_policies)
        else:
            named = [one for one in OTHERS if not asked.servers or any(name in one.name for name in asked.servers)]
            compare(bench, rounds, [ours(), *named], chosen, asked.venvs)
    finally:
        for oracle in bench.oracles.values():
            oracle.close()


if __name__ == "__main__":
    main()
