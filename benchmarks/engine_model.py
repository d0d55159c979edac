"""The model that the engine is measured with: minilm as imported, and the same graph with a limit of 512 tokens."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from benchmarks.engine_texts import LONG_MODEL
from benchmarks.service import HOME, service
from zoo.catalogue.store import Store

NAME = "minilm"
POSITIONS = 512


@dataclass(frozen=True)
class Model:
    """The folder that holds ``model.onnx`` and ``tokenizer.json``, and the most tokens of a text."""

    folder: Path
    limit: int


def prepared() -> dict[str, Model]:
    """Both models by name; brings them into the benchmark's home unless they are there."""
    store = Store(HOME)
    if store.newest(NAME) is None:
        with service():
            pass  # imports it
    found = store.entry(NAME, store.newest(NAME) or 1)
    if store.newest(LONG_MODEL) is None:
        limits = {**found.limits, "max_tokens": POSITIONS}
        draft = found.model_copy(update={"name": LONG_MODEL, "limits": limits, "lineage": {}})
        with store.staging() as place:
            staged = place / "version"
            staged.mkdir()
            for name in ("model.onnx", "tokenizer.json"):
                shutil.copy(store.folder(found.name, found.version) / name, staged)
            store.publish(staged, draft)
    return {
        name: Model(store.folder(name, newest), store.entry(name, newest).limits["max_tokens"])
        for name in (NAME, LONG_MODEL)
        if (newest := store.newest(name)) is not None
    }
