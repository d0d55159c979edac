"""The tables of the engine's benchmarks: a line for each contender, medians and spreads of its rounds."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from benchmarks.engine_rounds import Bench, Figure, State, middle
from benchmarks.engine_servers import Server
from benchmarks.engine_texts import Workload

Figures = dict[str, list[Figure]]  # by contender


def tell(seed: int, server: Server, figures: dict[str, Figure]) -> None:
    """Say on the error stream what a round has brought."""
    shares = ", ".join(f"{name} {figure.share:.2f} of the oracle" for name, figure in figures.items())
    print(f"round {seed + 1}: {server.name}: {shares}", file=sys.stderr, flush=True)


def print_figures(workload: Workload, bench: Bench, found: Figures) -> None:
    """Speed, latency and padding on one workload."""
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


def print_states(states: Mapping[str, Sequence[State]]) -> None:
    """What the servers took, and how near their vectors are to the right ones."""
    print("\n| | first answer, s | memory, MB: largest process | all processes | idle, cores | least cosine |")
    print("|---|---|---|---|---|---|")
    for name, some in states.items():
        columns = [
            ([one.first_answer for one in some], 2),
            ([one.largest for one in some], 0),
            ([one.whole for one in some], 0),
            ([one.idle for one in some], 3),
            ([one.agreement for one in some], 5),
        ]
        print(f"| {name} | {' | '.join(middle(values, digits) for values, digits in columns)} |")
