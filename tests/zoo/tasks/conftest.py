"""A zoo with each task in both architectures: ``mini`` and ``mini-distil`` encode, ``mood`` and ``mood-bert`` sort."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest

from adapters import importing
from adapters.jobs import JobKind, JobSpec
from tests.adapters.training.quiet_context import context_for
from tests.conftest import TinyZoo
from tests.tiny import write_checkpoint
from tests.zoo.tasks.language_zoo import LanguageZoo
from zoo.engine.predictor import Predictor


@pytest.fixture(scope="session")
def full_zoo(tiny_zoo: TinyZoo, tmp_path_factory: pytest.TempPathFactory) -> TinyZoo:
    """Shared: look, don't touch."""
    made = TinyZoo(tmp_path_factory.mktemp("full") / "home", tmp_path_factory.mktemp("all-checkpoints"))
    shutil.copytree(tiny_zoo.home, made.home)
    shutil.copytree(tiny_zoo.checkpoints, made.checkpoints, dirs_exist_ok=True)
    write_checkpoint(made.checkpoints / "mini-distil", kind="distilbert")
    write_checkpoint(made.checkpoints / "mood-bert", kind="bert", labels=("bad", "good", "so-so"))
    for name in ("mini-distil", "mood-bert"):
        source = {"kind": "folder", "path": str(made.checkpoints / name)}
        spec = JobSpec(kind=JobKind.IMPORT, model=name, source=source)
        importing.run(context_for(made.home, spec, job=f"import-{name}"), made.settings)
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
def languages(tmp_path_factory: pytest.TempPathFactory) -> LanguageZoo:
    """Tiny networks of every kind, imported when a test asks for one."""
    return LanguageZoo(tmp_path_factory.mktemp("languages") / "home", tmp_path_factory.mktemp("language-checkpoints"))
