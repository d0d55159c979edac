"""Imports tiny text networks when a test asks for them, each once, and keeps their checkpoints for transformers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import pipeline

from tests.imports import Imports
from zoo.catalogue.store import Store
from zoo.engine.predictor import Predictor


class LanguageZoo:
    """A home that grows as it is asked."""

    def __init__(self, imports: Imports, home: Path, checkpoints: Path) -> None:
        self._imports = imports
        self.home = home
        self._checkpoints = checkpoints
        self._made: dict[str, Predictor] = {}
        self._references: dict[tuple[str, str], Any] = {}

    def folder(self, name: str) -> Path:
        """The checkpoint that a model was imported from."""
        return self._checkpoints / name

    def model(self, name: str, write: Callable[[Path], Path], *, task: str | None = None) -> Predictor:
        """The predictor of a model whose checkpoint ``write`` puts into a folder."""
        if name not in self._made:
            self._imports.bring(self.home, name, write(self.folder(name)), task=task)
            store = Store(self.home)
            self._made[name] = Predictor(store.entry(name, 1), store.folder(name, 1), threads=1)
        return self._made[name]

    def reference(self, task: str, name: str) -> Any:
        """transformers' pipeline of a model's checkpoint, loaded once."""
        if (task, name) not in self._references:
            self._references[task, name] = pipeline(task, model=str(self.folder(name)), device="cpu")
        return self._references[task, name]
