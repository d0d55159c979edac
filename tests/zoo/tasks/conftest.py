"""A zoo with each task in both architectures: ``mini`` and ``mini-distil`` encode, ``mood`` and ``mood-bert`` sort."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest

from tests.conftest import TinyZoo
from tests.imports import Imports
from tests.tiny import write_checkpoint
from tests.zoo.tasks.language_zoo import LanguageZoo
from zoo.engine.predictor import Predictor


@pytest.fixture(scope="session")
def full_zoo(imports: Imports, tiny_zoo: TinyZoo, tmp_path_factory: pytest.TempPathFactory) -> TinyZoo:
    """Shared: look, don't touch."""
    made = TinyZoo(tmp_path_factory.mktemp("full") / "home", tmp_path_factory.mktemp("all-checkpoints"))
    shutil.copytree(tiny_zoo.home, made.home)
    shutil.copytree(tiny_zoo.checkpoints, made.checkpoints, dirs_exist_ok=True)
    write_checkpoint(made.checkpoints / "mini-distil", kind="distilbert", n_layers=1)
    write_checkpoint(made.checkpoints / "mood-bert", kind="bert", labels=("bad", "good", "so-so"), num_hidden_layers=1)
    for name in ("mini-distil", "mood-bert"):
        imports.bring(made.home, name, made.checkpoints / name)
    return made


@pytest.fixture(scope="session")
def predictor_of(full_zoo: TinyZoo) -> Callable[[str], Predictor]:
    """Predictors by name, each made once."""
    made: dict[str, Predictor] = {}

    def predictor(name: str) -> Predictor:
        if name not in made:
            made[name] = Predictor(full_zoo.store.entry(name, 1), full_zoo.store.folder(name, 1), threads=1)
        return made[name]

    return predictor


@pytest.fixture(scope="session")
def languages(imports: Imports, tmp_path_factory: pytest.TempPathFactory) -> LanguageZoo:
    """Tiny networks of every kind, imported when a test asks for one."""
    home, checkpoints = tmp_path_factory.mktemp("languages") / "home", tmp_path_factory.mktemp("language-checkpoints")
    return LanguageZoo(imports, home, checkpoints)
