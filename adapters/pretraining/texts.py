"""Text encoders: how they are read here, and how what was learnt on one is written as a starter."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from adapters.pretraining.adapted import ensure_base
from adapters.training.importing import checkpoint_of
from adapters.training.layouts.adapted import write_adapted
from adapters.training.learning import Learnt
from adapters.training.recipe import Adaptation, Servable, load_recipe
from zoo.catalogue.store import Store
from zoo.engine.threads import granted_threads
from zoo.settings import Settings

BASE = "minilm"
ALL_LAYERS = ("query", "key", "value", "dense")  # "auto" adapts the upper half
_OF_THE_FILE = ("_name_or_path", "dtype", "transformers_version")  # not of the network


def writer(task: str) -> Callable[[Learnt, Path], None]:
    """Adapter, head and ``config.json``; the body is fetched with them when the starter is pulled."""

    def write(learnt: Learnt, folder: Path) -> None:
        adaptation = learnt.adaptation
        write_adapted(folder, learnt.wrapped, adaptation.head, labels=adaptation.labels, **config_of(adaptation, task))

    return write


def config_of(adaptation: Adaptation, task: str) -> dict[str, Any]:
    """The body's own configuration, and how the head's answers are read."""
    return {**network_of(adaptation.body), **adaptation.servable().options, "task": task}


def network_of(body: Any) -> dict[str, Any]:
    """The body's own configuration, without what is said of the file that it came from."""
    return {key: value for key, value in body.config.to_diff_dict().items() if key not in _OF_THE_FILE}


def plain_tokenizer(checkpoint: Path) -> Tokenizer:
    """The checkpoint's; it neither fills up nor cuts off."""
    tokenizer = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def base_checkpoint(home: Path) -> Path:
    """The base, imported there unless it is; torch then has the threads of a worker."""
    settings = Settings(home=home)
    torch.set_num_threads(granted_threads(settings.worker_threads))
    ensure_base(BASE, settings)
    store = Store(home)
    return checkpoint_of(store, store.entry(BASE, 1))


def loaded(starter: Path, checkpoint: Path, task: str) -> Servable:
    """What ``Learner.write`` or ``writer`` wrote, beside its body, as an import loads it."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "starter"
        shutil.copytree(checkpoint, folder)
        shutil.copytree(starter, folder, dirs_exist_ok=True)
        return load_recipe(task).load(folder)
