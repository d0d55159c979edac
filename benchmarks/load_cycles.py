"""Whether memory comes back: minilm is loaded, asked and unloaded 200 times, and resident memory is compared.

`python -m benchmarks.load_cycles [HOME]`: the home folder has to hold minilm; by default that of the other benchmarks.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from pathlib import Path

from benchmarks.service import HOME, circumstances
from zoo.catalogue.registry import Registry
from zoo.catalogue.store import Store
from zoo.engine.loader import Loader
from zoo.engine.memory import resident_bytes
from zoo.settings import Settings

CYCLES = 200
SETTLED = 5  # cycles after which the process has what it keeps: the tokenizer's library, caches of the interpreter
MB = 1_000_000
TEXTS = ["my parcel was late", "the quick brown fox jumps over the lazy dog"] * 4


def cycles(home: Path) -> tuple[list[int], list[int], list[float]]:
    """Resident memory with the model and without it, and the seconds of each load, cycle by cycle."""
    store = Store(home)
    loader = Loader(Registry(store, {}), store, Settings(_env_file=None, home=home))
    loaded, unloaded, seconds = [], [], []
    for _ in range(CYCLES):
        began = time.perf_counter()
        loader.load("minilm")
        seconds.append(time.perf_counter() - began)
        vectors = asyncio.run(loader.predict("minilm", TEXTS, {})).body
        assert isinstance(vectors, list) and len(vectors) == len(TEXTS)
        del vectors
        loaded.append(resident_bytes())
        loader.unload("minilm")
        unloaded.append(resident_bytes())
    loader.close()
    return loaded, unloaded, seconds


def main() -> None:
    """Measure and print; the exit code is 1 if memory grew by more than 5 %."""
    loaded, unloaded, seconds = cycles(Path(sys.argv[1]) if sys.argv[1:] else HOME)
    print(circumstances())
    for name, series in (("with the model", loaded), ("without it", unloaded)):
        first, last = statistics.median(series[SETTLED : SETTLED + 5]), statistics.median(series[-5:])
        growth = last / first - 1
        print(f"{name}: {first / MB:.1f} MB at first, {last / MB:.1f} MB after {CYCLES} cycles, {growth:+.1%}")
        if growth > 0.05:
            raise SystemExit(1)
    print(f"a load: median {statistics.median(seconds):.3f} s, at most {max(seconds):.3f} s")


if __name__ == "__main__":
    main()
