"""audio-classification: imports sound classifiers as they are; adapts Whisper's encoder with a pooled, linear head."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from adapters.datasets import Example
from adapters.jobs import Hyperparameters
from adapters.training.recipe import Servable
from adapters.training.sound_classification import SoundAdaptation
from adapters.training.sound_classifier import read_classifier
from zoo.catalogue.entry import ModelEntry


def load(checkpoint: Path) -> Servable:
    """A checkpoint with its own classification head; raises ``Unsupported`` for one without."""
    return read_classifier(checkpoint)


def adapt(
    checkpoint: Path, base: ModelEntry, examples: Sequence[Example], *, labels: tuple[str, ...], asked: Hyperparameters
) -> SoundAdaptation:
    """The encoder of any imported Whisper under a new head."""
    return SoundAdaptation(checkpoint, base, labels)
