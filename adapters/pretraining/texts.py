"""Text encoders: how they are read here, and how what was learnt on one is written as a starter."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from adapters.training.layouts.adapted import write_adapted
from adapters.training.learning import Learnt
from adapters.training.recipe import Adaptation

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
