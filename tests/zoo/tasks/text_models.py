"""A zoo with a tiny text-to-text model of each kind, imported from folders as the hub has them."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import TinyZoo
from tests.imports import Imports
from tests.tiny_texts import write_bart, write_m2m, write_marian, write_t5, write_taught


def import_texts(imports: Imports, folder: Path, *names: str) -> TinyZoo:
    """``deutsch`` and ``taught`` (Marian), ``tongues`` (M2M-100), ``t5``, ``short`` (BART) or ``t5-short``."""
    zoo = TinyZoo(folder / "home", folder / "checkpoints")
    for name in names:
        write, task = _MODELS[name]
        imports.bring(zoo.home, name, write(zoo.checkpoints / name), task=task)
    return zoo


_MODELS = {
    "deutsch": (write_marian, None),
    "taught": (write_taught, None),
    "tongues": (write_m2m, None),
    "t5": (write_t5, None),
    "short": (write_bart, None),
    "t5-short": (write_t5, "summarization"),
}
