"""sentence-similarity: imports sentence encoders; adapts them to pairs of texts that are alike, or to scored pairs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from adapters.datasets import Example
from adapters.jobs import Hyperparameters
from adapters.training.recipe import Servable
from adapters.training.sentences.sentence_encoder import load_encoder, read_encoder
from adapters.training.sentences.similarity import SimilarityAdaptation
from zoo.catalogue.entry import ModelEntry


def load(checkpoint: Path) -> Servable:
    """The checkpoint's encoder without any head."""
    return read_encoder(checkpoint)


def adapt(
    checkpoint: Path, base: ModelEntry, examples: Sequence[Example], *, labels: tuple[str, ...], asked: Hyperparameters
) -> SimilarityAdaptation:
    """Any imported text encoder; it keeps its pooling."""
    encoder = load_encoder(checkpoint)
    limit = base.limits.get("max_tokens", encoder.max_tokens)
    wanted = limit if asked.max_tokens == "auto" else min(asked.max_tokens, limit)
    scored = any("score" in example.values for example in examples)
    return SimilarityAdaptation(encoder, base, scored=scored, max_tokens=wanted)
