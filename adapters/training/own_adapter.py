"""An adapter that a job of a zoo made, on its way into another one.

The folder ``adapter`` of a version says in ``config.json`` what its head answers, how it reads the body's vectors, and
which body that was: peft's files say neither.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters.training import checkpoint as checkpoints
from adapters.training.form import TASK_TYPES, counted
from adapters.training.recipe import Adaptation
from zoo.catalogue.adapter import HEAD, LoraAdapter
from zoo.catalogue.entry import CHECKPOINT, ModelEntry
from zoo.engine.head import Readout
from zoo.errors import ArtifactCorrupt, InvalidInput

ABOUT = "config.json"
LONGEST = 256  # characters of a label, as of those that a request gives
_OWN = ("task", "label_names", "readout", "body")
# All that may be said of how answers are read: what else a configuration holds is the base's.
_OPTIONS = ("function_to_apply", "aggregation_strategy", "max_answer_len", "handle_impossible_answer")


@dataclass(frozen=True, eq=False)
class OwnAdapter:
    """``readout``: how a body with slots is read for it, None where that is not enough. ``body``: ``body_hash`` of the
    base. ``options``: how the head's answers are read, as ``config.json`` of an adapted checkpoint has it."""

    path: Path
    task: str
    labels: tuple[str, ...]
    readout: Readout | None
    body: str
    options: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path) -> OwnAdapter:
        """A folder of checked files; raises ``InvalidInput`` (``invalid_adapter``)."""
        LoraAdapter.read(path)
        written = checkpoints.read_json(path / ABOUT)
        task, labels, readout, body = (written.get(name) for name in _OWN)
        if not (isinstance(task, str) and isinstance(body, str) and isinstance(labels, list)):
            raise _invalid(f"{HEAD} is a head without {ABOUT} that says what it answers")
        if len(set(map(str, labels))) < len(labels) or not all(0 < len(str(label)) <= LONGEST for label in labels):
            raise _invalid(f"label_names of {ABOUT} are not names of 1 to {LONGEST} characters, each once")
        try:
            read = None if readout is None else Readout.of(readout)
        except (ArtifactCorrupt, TypeError):
            raise _invalid(f"{ABOUT} does not say how the body is read") from None
        return cls(path, task, tuple(map(str, labels)), read, body, _options(written))

    def named(self, given: Sequence[str] | None) -> tuple[str, ...]:
        """Its labels, or those given instead; raises ``InvalidInput`` (``invalid_labels``) for another number."""
        return self.labels if given is None else counted(given, len(self.labels))

    def lay_beside(self, checkpoint: Path, whole: Path, *, labels: Sequence[str]) -> None:
        """Write ``whole``: a copy of the base's checkpoint with this beside it, as starters are laid out."""
        shutil.copytree(checkpoint, whole)
        shutil.copytree(self.path, whole / checkpoints.ADAPTER)
        config = {**checkpoints.read_json(checkpoint / ABOUT), **self.options}
        config |= {"task": self.task, "label_names": list(labels)}
        (whole / ABOUT).write_text(json.dumps(config), encoding="utf-8")

    def keep(self, folder: Path, *, labels: Sequence[str]) -> None:
        """Write the same folder, for the version that is made of it."""
        shutil.copytree(self.path, folder, dirs_exist_ok=True)
        written = checkpoints.read_json(folder / ABOUT) | {"label_names": list(labels)}
        (folder / ABOUT).write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")


def write_about(folder: Path, adaptation: Adaptation, task: str, base: ModelEntry) -> None:
    """Write what ``OwnAdapter`` reads into the folder of an adapter; nothing for tasks whose adapters stay at home."""
    if task not in TASK_TYPES.values():
        return
    readout = adaptation.readout
    about = {
        "task": task,
        "label_names": list(adaptation.labels),
        "readout": None if readout is None else readout.as_dict(),
        "body": body_hash(base),
        **_options(adaptation.servable().options),
    }
    (folder / ABOUT).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


def body_hash(base: ModelEntry) -> str:
    """A hash of the weights that an adapter was learnt on, whatever name they go by."""
    weights = [file for file in base.files if file.path.startswith(f"{CHECKPOINT}/") and file.path.endswith("tensors")]
    lines = (f"{file.path} {file.sha256}" for file in sorted(weights, key=lambda file: file.path))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _options(written: Mapping[str, Any]) -> dict[str, Any]:
    return {name: written[name] for name in _OPTIONS if name in written}


def _invalid(fault: str) -> InvalidInput:
    message = (
        f"{fault}: take the folder adapter as a version of this release has it, or the version with all its files."
    )
    return InvalidInput(message, code="invalid_adapter")
