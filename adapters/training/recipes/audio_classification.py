"""audio-classification: imports sound classifiers as they are; adapts their bodies with a pooled, linear head."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from adapters.datasets import Example
from adapters.jobs import Hyperparameters
from adapters.training.checkpoint import is_adapted
from adapters.training.recipe import Servable
from adapters.training.sounds.body import load_body
from adapters.training.sounds.classification import SoundAdaptation, read_adapted
from adapters.training.sounds.classifier import read_classifier
from zoo.catalogue.entry import ModelEntry


def load(checkpoint: Path) -> Servable:
    """A checkpoint with its own classification head; raises ``Unsupported`` for one without."""
    return read_adapted(checkpoint) if is_adapted(checkpoint) else read_classifier(checkpoint)


def adapt(
    checkpoint: Path, base: ModelEntry, examples: Sequence[Example], *, labels: tuple[str, ...], asked: Hyperparameters
) -> SoundAdaptation:
    """The body of any imported classifier or recogniser under a new head."""
    return SoundAdaptation(load_body(checkpoint), labels, architecture=base.architecture)
