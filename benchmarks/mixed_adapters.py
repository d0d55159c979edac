"""Many adapters in one session beside one merged model: speed at equal batches, memory of each, time to add one.

`python -m benchmarks.mixed_adapters [--home HOME] [--model minilm] [--adapters 64 256 1000] [--rounds 5]`. Adapters are
random, of rank 8 on every linear layer that has slots, drawn uniformly for each row. Texts are random ids of 4 to 256
tokens (log-normal, mean 33), sorted by length, at most 512 tokens a run with padding counted. Each run of the merged
model (the body's own graph: merging changes no operator) is followed by the same batch through the slots; the ratio is
of their times, its spread that of the rounds. CPU time is shown beside wall time, for machines that are shared.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from benchmarks.service import HOME, circumstances
from zoo.catalogue.registry import Registry, load_catalogue
from zoo.catalogue.slot_table import SlotTable
from zoo.catalogue.store import Store
from zoo.engine.adapter_slots import BARE, Slot
from zoo.engine.adapter_weights import AdapterWeights
from zoo.engine.body import Body
from zoo.engine.predictor import MODEL_FILE
from zoo.engine.rank_pool import slot_bytes
from zoo.engine.session import Array, Session

RANK = 8
TOKENS = 512  # of one run, padding counted
Batch = dict[str, Array]
Clock = tuple[float, float]
"""Wall and CPU seconds."""


def batches(texts: int, *, longest: int, seed: int = 0) -> list[Batch]:
    """Texts as they come to the graph."""
    draw = np.random.default_rng(seed)
    lengths = sorted(int(one) for one in np.clip(np.exp(draw.normal(3.2, 0.75, texts)), 4, longest))
    made: list[Batch] = []
    while lengths:
        count = 1
        while count < len(lengths) and lengths[count] * (count + 1) <= TOKENS:
            count += 1
        mine, lengths = lengths[:count], lengths[count:]
        mask = (np.arange(mine[-1])[None, :] < np.array(mine)[:, None]).astype(np.int64)
        ids = draw.integers(1000, 20_000, mask.shape) * mask
        made.append({"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(mask)})
    return made


def random_adapter(table: SlotTable, seed: int) -> AdapterWeights:
    """Numbers of the size that training leaves."""
    draw = np.random.default_rng(seed)
    shapes = table.stacks(RANK)
    return AdapterWeights(
        RANK, {name: 0.02 * draw.standard_normal(shape, dtype=np.float32) for name, shape in shapes.items()}
    )


def write_adapter(folder: Path, table: SlotTable, seed: int) -> Path:
    """The same as a folder in peft's format."""
    draw = np.random.default_rng(seed)
    tensors: dict[str, Array] = {}
    for module, linear in table.linears.items():
        for side, shape in (("A", (RANK, linear.inputs)), ("B", (linear.outputs, RANK))):
            values = 0.02 * draw.standard_normal(shape, dtype=np.float32)
            tensors[f"base_model.model.{module}.lora_{side}.weight"] = values
    folder.mkdir()
    save_file(tensors, str(folder / "adapter_model.safetensors"))
    config = {"peft_type": "LORA", "r": RANK, "lora_alpha": 2 * RANK, "target_modules": sorted(table.linears)}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


def memory() -> int:
    """Bytes that this process holds of its own, files that are mapped left out (Linux)."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("RssAnon")).split()[1]) * 1024


@dataclass(frozen=True)
class Round:
    """Of one pass over all batches: the merged model and the slots."""

    merged: Clock
    mixed: Clock

    def ratio(self, clock: int) -> float:
        """Speed of the slots over that of the merged model."""
        return self.merged[clock] / self.mixed[clock]


def one_round(plain: Session, body: Body, slots: list[Slot], texts: list[Batch], seed: int) -> Round:
    """Each batch by one, then by the other."""
    draw = np.random.default_rng(seed)
    spent = np.zeros((2, 2))
    for feeds in texts:
        chosen = [slots[place] for place in draw.integers(0, len(slots), len(feeds["input_ids"]))]
        for which in (0, 1) if seed % 2 else (1, 0):
            started, used = time.perf_counter(), time.process_time()
            if which:
                body.run(feeds, chosen)
            else:
                plain.run(feeds)
            spent[which] += (time.perf_counter() - started, time.process_time() - used)
    (merged, mixed) = ((float(one[0]), float(one[1])) for one in spent)
    return Round(merged, mixed)


def told(rounds: list[Round]) -> str:
    """Median and spread of the ratio, by both clocks."""
    parts = []
    for clock, name in enumerate(("wall", "CPU")):
        ratios = sorted(one.ratio(clock) for one in rounds)
        parts.append(f"{name} {statistics.median(ratios):.3f} ({ratios[0]:.3f}–{ratios[-1]:.3f})")
    return " · ".join(parts)


def first_answers(body: Body, feeds: Batch, count: int) -> dict[str, list[Clock]]:
    """From the folder of a new adapter until it is in its slot, and until its first answer."""
    spent: dict[str, list[Clock]] = {"added": [], "answered": []}
    with tempfile.TemporaryDirectory() as root:
        folders = [write_adapter(Path(root) / str(seed), body.slots.table, seed) for seed in range(count)]
        for folder in folders:
            started, used = time.perf_counter(), time.process_time()
            with body.slots.hold(str(folder), partial(AdapterWeights.read, folder, body.slots.table)) as slot:
                spent["added"].append((time.perf_counter() - started, time.process_time() - used))
                body.run(feeds, [slot])
            spent["answered"].append((time.perf_counter() - started, time.process_time() - used))
    return spent


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--home", type=Path, default=HOME)
    asked.add_argument("--model", default="minilm")
    asked.add_argument("--adapters", type=int, nargs="+", default=[64, 256, 1000])
    asked.add_argument("--rounds", type=int, default=5)
    asked.add_argument("--texts", type=int, default=256)
    asked.add_argument("--threads", type=int, default=1)
    given = asked.parse_args()
    store = Store(given.home)
    entry = Registry(store, load_catalogue()).resolve(given.model)
    folder = store.folder(entry.name, entry.version)
    each = slot_bytes(SlotTable.read(folder), RANK)
    plain = Session(folder / MODEL_FILE, threads=given.threads)
    body = Body(folder, threads=given.threads, budget=(max(given.adapters) + 64) * each)
    texts = batches(given.texts, longest=entry.limits["max_tokens"])
    print(circumstances())
    print(f"{given.texts} texts in {len(texts)} runs, {given.threads} threads, {len(body.slots.table.linears)} layers")
    for feeds in texts:  # memory is laid out for every shape
        plain.run(feeds)
        body.run(feeds, [BARE] * len(feeds["input_ids"]))
    bare = [one_round(plain, body, [BARE], texts, seed) for seed in range(given.rounds)]
    print(f"without adapters, over the merged model: {told(bare)}")
    with contextlib.ExitStack() as held:
        slots: list[Slot] = []
        before = memory()
        for count in sorted(given.adapters):
            for seed in range(len(slots), count):
                load = partial(random_adapter, body.slots.table, seed)
                slots.append(held.enter_context(body.slots.hold(f"adapter {seed}", load)))
            grown = (memory() - before) / count / 1e6
            one_round(plain, body, slots, texts, 0)
            rounds = [one_round(plain, body, slots, texts, seed) for seed in range(given.rounds)]
            print(f"{count} adapters, over the merged model: {told(rounds)}; memory of each {grown:.2f} MB")
    short = {name: values[:1, :16] for name, values in texts[-1].items()}
    for what, clocks in first_answers(body, short, 20).items():
        wall, used = (sorted(1000 * clock[which] for clock in clocks) for which in (0, 1))
        middle = f"{statistics.median(wall):.1f} ms, slowest {wall[-1]:.1f}; CPU {statistics.median(used):.1f} ms"
        print(f"a new adapter {what}, 16 tokens: median {middle}")
    full = memory()
    for key in body.slots.residents():
        body.slots.drop(key)
    print(f"memory given back when all have left: {(full - memory()) / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
