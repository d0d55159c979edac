"""Imports tiny text networks when a test asks for them, each once, and keeps their checkpoints for transformers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from adapters import importing
from adapters.jobs import JobKind, JobSpec
from tests.adapters.training.quiet_context import context_for
from zoo.catalogue.store import Store
from zoo.engine.predictor import Predictor
from zoo.settings import Settings


class LanguageZoo:
    """A home that grows as it is asked."""

    def __init__(self, home: Path, checkpoints: Path) -> None:
        self.home = home
        self._checkpoints = checkpoints
        self._made: dict[str, Predictor] = {}

    def folder(self, name: str) -> Path:
        """The checkpoint that a model was imported from."""
        return self._checkpoints / name

    def model(self, name: str, write: Callable[[Path], Path], *, task: str | None = None) -> Predictor:
        """The predictor of a model whose checkpoint ``write`` puts into a folder."""
        if name not in self._made:
            source = {"kind": "folder", "path": str(write(self.folder(name)))}
            spec = JobSpec(kind=JobKind.IMPORT, model=name, source=source, task=task)
            settings = Settings(_env_file=None, home=self.home, worker_threads=1, threads=1)
            importing.run(context_for(self.home, spec, job=f"import-{name}"), settings)
            store = Store(self.home)
            self._made[name] = Predictor(store.entry(name, 1), store.folder(name, 1), threads=1)
        return self._made[name]
