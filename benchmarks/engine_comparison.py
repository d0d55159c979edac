"""Ours and other servers on the same graph, texts and load, in interleaved rounds, and ours over each of them."""

from __future__ import annotations

import math
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.engine_rounds import Bench, Figure, Rounds, State, middle, turn
from benchmarks.engine_servers import Server
from benchmarks.engine_tables import print_figures, print_states, tell
from benchmarks.engine_texts import Workload

Found = dict[str, dict[int, Figure]]  # by server and round


def compare(
    bench: Bench, rounds: Rounds, servers: Sequence[Server], workloads: Sequence[Workload], venvs: Path
) -> None:
    """The first server is ours; one of the others that does not start is named and left out.

    No server begins its turn after the minutes of ``rounds``: then some have one round less than others.
    """
    found: dict[str, Found] = {workload.name: defaultdict(dict) for workload in workloads}
    states: dict[str, list[State]] = defaultdict(list)
    chosen = list(servers)
    try:
        for seed, server in _turns(rounds, chosen):
            try:
                figures, state = turn(bench, server, workloads, seed, venvs)
            except (RuntimeError, OSError) as error:
                print(f"left out: {server.name}: {error}", file=sys.stderr)
                chosen.remove(server)
                continue
            tell(seed, server, figures)
            states[server.name].append(state)
            for name, figure in figures.items():
                found[name][server.name][seed] = figure
    finally:  # what was measured before an interruption is told too
        for workload in workloads:
            own = found[workload.name]
            print_figures(workload, bench, {name: list(figures.values()) for name, figures in own.items()})
            _print_ratios(own, servers[0].name)
        print_states(states)


def _turns(rounds: Rounds, chosen: list[Server]) -> Iterator[tuple[int, Server]]:
    until = time.monotonic() + 60 * rounds.minutes
    for seed in range(rounds.most):
        for server in list(chosen):
            if time.monotonic() > until:
                print(f"{rounds.minutes:g} minutes are over in round {seed + 1}", file=sys.stderr)
                return
            if server in chosen:
                yield seed, server


def _print_ratios(found: Found, ours: str) -> None:
    """Ours over each of the others, round by round; of the texts a second each by its oracle of that minute."""
    told: dict[str, Callable[[Figure], float]] = {
        "texts/s": lambda figure: figure.share,
        "p50": lambda figure: figure.p50,
        "p99": lambda figure: figure.p99,
    }
    print(f"\n| {ours} over | {' | '.join(told)} | rounds |\n|---|---|---|---|---|")
    for name, figures in found.items():
        both = [(found[ours][seed], figure) for seed, figure in figures.items() if seed in found[ours]]
        if name == ours or not both:
            continue
        cells = [middle([_over(of(own), of(other)) for own, other in both]) for of in told.values()]
        print(f"| {name} | {' | '.join(cells)} | {len(both)} |", flush=True)


def _over(own: float, other: float) -> float:
    """Infinity where the other answered nothing within the time of the load."""
    return own / other if other else math.inf
