"""A zoo with two tiny imported models, made once: ``mini`` (encoder) and ``mood`` (classifier); one with all tasks."""

from __future__ import annotations

import functools
import gc
import logging
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from zoo.catalogue.store import Store
from zoo.settings import Settings

if TYPE_CHECKING:
    from tests.imports import Imports


@dataclass(frozen=True)
class TinyZoo:
    """A home with imported models, and the checkpoints that they came from."""

    home: Path
    checkpoints: Path

    @property
    def settings(self) -> Settings:
        return Settings(_env_file=None, home=self.home, worker_threads=1, threads=1)

    @property
    def store(self) -> Store:
        return Store(self.home)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that import models or read real data come first: begun last, one is waited for by all other processes."""
    long = {
        item.path
        for item in items
        if "imports" in getattr(item, "fixturenames", ()) or any(map(item.get_closest_marker, ("real", "chaos")))
    }
    items.sort(key=lambda item: item.path not in long)


def pytest_collection_finish() -> None:
    """What has been imported stays: no collection of garbage has to look at torch and transformers again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def own_logs() -> Iterator[None]:
    """Commands run in the test's process send its logs to a stream that is closed with the test: put them back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(scope="session", autouse=True)
def exporter() -> Iterator[None]:
    """torch's exporter reads its table of operators from their sources for each graph: a seventh of its time."""
    with pytest.MonkeyPatch.context() as patch:
        if "torch" in sys.modules:
            from torch.onnx._internal.exporter._registration import ONNXRegistry

            patch.setattr(ONNXRegistry, "from_torchlib", staticmethod(functools.cache(ONNXRegistry.from_torchlib)))
        yield


@pytest.fixture(scope="session")
def imports(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Imports:
    """What has been exported in this run of the tests, by any of its processes."""
    from tests.imports import Imports

    own = tmp_path_factory.getbasetemp()
    root = (own.parent if hasattr(request.config, "workerinput") else own) / "imports"
    root.mkdir(exist_ok=True)
    return Imports(root)


@pytest.fixture(scope="session")
def tiny_zoo(imports: Imports, tmp_path_factory: pytest.TempPathFactory) -> TinyZoo:
    """Shared: look, don't touch; ``own_zoo`` is for tests that change something."""
    from tests.tiny import write_checkpoint

    made = TinyZoo(tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("checkpoints"))
    write_checkpoint(made.checkpoints / "mini")
    write_checkpoint(made.checkpoints / "mood", kind="distilbert", labels=("bad", "good", "so-so"))
    for name in ("mini", "mood"):
        imports.bring(made.home, name, made.checkpoints / name)
    return made


@pytest.fixture(scope="session")
def every_task(imports: Imports, tiny_zoo: TinyZoo, tmp_path_factory: pytest.TempPathFactory) -> TinyZoo:
    """Shared: look, don't touch. A model for every task, see ``tests.every_task``."""
    from tests.every_task import import_every_task

    return import_every_task(tmp_path_factory.mktemp("every-task"), tiny_zoo, imports)


@pytest.fixture
def own_zoo(tiny_zoo: TinyZoo, tmp_path: Path) -> TinyZoo:
    """A copy that the test may change."""
    home = tmp_path / "home"
    shutil.copytree(tiny_zoo.home, home)
    return TinyZoo(home, tiny_zoo.checkpoints)
