"""audio-classification: imports sound classifiers of transformers as they are."""

from __future__ import annotations

from pathlib import Path

from adapters.training.recipe import Servable
from adapters.training.sound_classifier import read_classifier


def load(checkpoint: Path) -> Servable:
    """A checkpoint with its own classification head; raises ``Unsupported`` for one without."""
    return read_classifier(checkpoint)
