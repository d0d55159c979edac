"""Checkpoints that are imported once for a whole run of the tests, by whichever of its processes asks first."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from adapters import importing
from adapters.jobs import JobKind, JobSpec
from tests.adapters.training.quiet_context import context_for
from zoo.catalogue.registry import LIVE
from zoo.catalogue.store import Store
from zoo.settings import Settings

_NAME = "made"


@dataclass(frozen=True)
class Imports:
    """``root`` is a folder that all processes of a run share. The exporter takes seconds for the smallest network."""

    root: Path

    def bring(self, home: Path, name: str, checkpoint: Path, *, task: str | None = None) -> None:
        """Publish ``name`` in a home, as an import of the checkpoint does; the same files are exported once."""
        made = self._made(checkpoint, task)
        store, entry = Store(home), made.entry(_NAME, 1)
        with store.staging() as staged:
            shutil.copytree(made.folder(_NAME, 1), staged, dirs_exist_ok=True)
            (staged / "manifest.json").unlink()
            lineage = {**entry.lineage, "job": f"import-{name}"}
            store.publish(staged, entry.model_copy(update={"name": name, "title": name, "lineage": lineage}))
        store.set_alias(name, LIVE, 1)

    def _made(self, checkpoint: Path, task: str | None) -> Store:
        home = self.root / f"{task}-{_hash(checkpoint)}"
        with FileLock(f"{home}.lock"):
            if not Store(home).names():
                source = {"kind": "folder", "path": str(checkpoint)}
                spec = JobSpec(kind=JobKind.IMPORT, model=_NAME, task=task, source=source)
                settings = Settings(_env_file=None, home=home, worker_threads=1, threads=1)
                importing.run(context_for(home, spec, job=f"import-{_NAME}"), settings)
        return Store(home)


def _hash(checkpoint: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in checkpoint.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(checkpoint)} {path.stat().st_size} ".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
