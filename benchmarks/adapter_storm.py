"""Two hundred adapters on one body under load: is any answer another adapter's, is any request lost?

`python -m benchmarks.adapter_storm [--home HOME] [--requests 100000] [--adapters 200]`: the engine in this process, on
minilm as HOME has it. Each adapter is random, of rank 8 on every linear layer, with a head of its own and a label that
says whose it is. Before the storm each answers five texts alone, which is what it has to answer in it. Meanwhile the
memory that adapters may take holds a fifth of them, so that they leave and come back; new ones are published; and the
alias of every name moves between two versions.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from benchmarks.mixed_adapters import write_adapter
from benchmarks.service import HOME, circumstances
from zoo.catalogue.entry import ModelEntry
from zoo.catalogue.registry import Registry
from zoo.catalogue.slot_table import SlotTable
from zoo.catalogue.store import Store
from zoo.engine.body import READOUT, SERVED_BY
from zoo.engine.head import Readout
from zoo.engine.loader import Loader
from zoo.engine.predictor import MODEL_FILE
from zoo.engine.rank_pool import slot_bytes
from zoo.settings import Settings

CALLERS = 64
APART = 1e-4
TEXTS = ("late", "my parcel was late", "why was the card charged again", "locked out of it", "thanks, that was quick")


@dataclass
class Storm:
    """What was asked, and what came back."""

    outcomes: Counter[str] = field(default_factory=Counter)
    added: int = 0
    moves: int = 0


def publish(store: Store, body: ModelEntry, name: str, seed: int) -> ModelEntry:
    """One more version of ``name``, whose label ``sign-SEED`` tells whose answer it is."""
    draw = np.random.default_rng(seed)
    width = body.limits["width"]
    with store.staging() as staged:
        adapter = write_adapter(staged / "adapter", SlotTable.read(store.folder(body.name, body.version)), seed)
        head = {"weight": draw.standard_normal((2, width), dtype=np.float32), "bias": np.zeros(2, dtype=np.float32)}
        save_file(head, str(adapter / "head.safetensors"))
        shutil.copy(store.folder(body.name, body.version) / "tokenizer.json", staged)
        (staged / MODEL_FILE).write_bytes(b"a graph that nobody may run: these are answered for by their body")
        readout = Readout(pooling="mean", unit=True).as_dict()
        draft = ModelEntry(
            name=name,
            version=1,
            task="text-classification",
            modality="text",
            architecture=body.architecture,
            licence=body.licence,
            created=0,
            base=body.reference,
            labels=(f"sign-{seed}", f"other-{seed}"),
            limits=body.limits,
            options={SERVED_BY: "body", READOUT: readout, "pad_token_id": body.options.get("pad_token_id", 0)},
        )
        return store.publish(staged, draft)


def scores(body: Any) -> dict[str, float]:
    """By label."""
    return {one["label"]: one["score"] for one in body[0]}


async def ask(loader: Loader, reference: str, text: str) -> tuple[str, dict[str, float]]:
    """The exact version that answered, and the scores by label."""
    prediction = await loader.predict(reference, text, {})
    return prediction.entry.reference, scores(prediction.body)


def judged(version: str, found: dict[str, float], wanted: dict[str, float], allowed: set[str]) -> str:
    """``right``, or what is wrong with an answer."""
    if version not in allowed:
        return "misrouted"
    if found.keys() != wanted.keys() or any(abs(found[label] - wanted[label]) > APART for label in wanted):
        return "wrong"
    return "right"


async def storm(loader: Loader, store: Store, body: ModelEntry, asked: argparse.Namespace) -> Storm:
    result, draw = Storm(), random.Random(0)
    names = [f"sign-{number}" for number in range(asked.adapters // 2)]
    versions = {name: [f"{name}@1", f"{name}@2"] for name in names}
    truth = {
        (version, text): (await ask(loader, version, text))[1]
        for each in versions.values()
        for version in each
        for text in TEXTS
    }
    left = asked.requests

    async def caller() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            name, text = draw.choice(names), draw.choice(TEXTS)
            exact = draw.random() < 0.5
            reference = draw.choice(versions[name]) if exact else name
            try:
                version, found = await ask(loader, reference, text)
            except Exception as error:
                result.outcomes[type(error).__name__] += 1
                continue
            allowed = {reference} if exact else set(versions[name])
            result.outcomes[judged(version, found, truth[version, text], allowed)] += 1

    async def unrest() -> None:
        while left > 0:
            name = draw.choice(names)
            await asyncio.to_thread(store.set_alias, name, "live", draw.choice((1, 2)))
            result.moves += 1
            if result.moves % 20 == 0:
                number = asked.adapters + result.added
                new = await asyncio.to_thread(publish, store, body, f"new-{number}", number)
                version, found = await ask(loader, new.reference, TEXTS[0])
                good = version == new.reference and f"sign-{number}" in found
                result.outcomes["right" if good else "wrong"] += 1
                result.added += 1
            await asyncio.sleep(0.05)

    await asyncio.gather(unrest(), *(caller() for _ in range(CALLERS)))
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, default=HOME)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--adapters", type=int, default=200)
    asked = parser.parse_args()
    print(circumstances())
    with tempfile.TemporaryDirectory() as place:
        home = Path(place)
        shutil.copytree(asked.home / "models" / "minilm", home / "models" / "minilm")
        store = Store(home)
        body = store.entry("minilm", store.newest("minilm") or 1)
        table = SlotTable.read(store.folder(body.name, body.version))
        for number in range(asked.adapters):
            publish(store, body, f"sign-{number // 2}", number)
        room = slot_bytes(table, 8) * asked.adapters // 5
        memory = room * 4  # of which adapters may take a quarter
        settings = Settings(_env_file=None, home=home, memory=memory, max_waiting_requests=2 * CALLERS)
        loader = Loader(Registry(store, {}), store, settings)
        started = time.perf_counter()
        result = asyncio.run(storm(loader, store, body, asked))
        spent = time.perf_counter() - started
        counts = loader.memory().counts
        loader.close()
    total = sum(result.outcomes.values())
    print(f"{total} requests for {asked.adapters} adapters in {spent:.0f} s: {dict(result.outcomes)}")
    print(f"{result.moves} moves of aliases, {result.added} adapters added, {sum(counts.values())} loads and unloads")


if __name__ == "__main__":
    main()
