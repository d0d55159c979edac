"""feature-extraction: text encoders that answer with one vector for each token; pooled where they are served."""

from __future__ import annotations

from pathlib import Path

from adapters.training.recipe import Servable
from adapters.training.sentences.sentence_encoder import read_encoder


def load(checkpoint: Path) -> Servable:
    """The checkpoint's encoder without any head."""
    return read_encoder(checkpoint)
