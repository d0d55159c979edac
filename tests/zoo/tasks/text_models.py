"""A zoo with a tiny text-to-text model of each kind, imported from folders as the hub has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from tests.conftest import TinyZoo
from tests.imports import Imports
from tests.tiny_texts import write_bart, write_m2m, write_marian, write_t5, write_taught


def import_texts(imports: Imports, folder: Path, *names: str) -> TinyZoo:
    """``deutsch`` and ``taught`` (Marian), ``tongues`` (M2M-100), ``t5`` or ``short`` (BART)."""
    zoo = TinyZoo(folder / "home", folder / "checkpoints")
    for name in names:
        imports.bring(zoo.home, name, _MODELS[name](zoo.checkpoints / name))
    return zoo


# Of one layer on either side, but for the one that is adapted: the exporter takes as long as there are layers.
_MODELS: Mapping[str, Callable[[Path], Path]] = {
    "deutsch": partial(write_marian, layers=1),
    "taught": write_taught,
    "tongues": partial(write_m2m, layers=1),
    "t5": partial(write_t5, layers=1),
    "short": partial(write_bart, layers=1),
}
