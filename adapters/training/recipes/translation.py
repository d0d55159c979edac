"""translation: imports Marian, M2M-100, T5 and BART; adapts them to sentences with their translations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from adapters.datasets import Example
from adapters.jobs import Hyperparameters
from adapters.training.layouts.text_to_text import read_text_to_text
from adapters.training.recipe import Servable
from adapters.training.texts.adaptation import TextAdaptation
from adapters.training.texts.scores import translation_scores
from adapters.training.texts.servable import text_servable
from adapters.training.texts.sides import refuse_swapped
from zoo.catalogue.entry import ModelEntry
from zoo.errors import Unsupported
from zoo.tasks.ready_made.translation import TASKS

__all__ = ["TASKS", "adapt", "load"]


def load(checkpoint: Path) -> Servable:
    """Raises ``InvalidInput`` for a checkpoint that contradicts itself, ``Unsupported`` for other architectures."""
    return text_servable(read_text_to_text(checkpoint, TASKS))


def adapt(
    checkpoint: Path, base: ModelEntry, examples: Sequence[Example], *, labels: tuple[str, ...], asked: Hyperparameters
) -> TextAdaptation:
    """Any imported translator; raises ``Unsupported`` (``not_adaptable``) for models of other tasks.

    ``InvalidInput`` (``wrong_direction``) where the pairs are the other way round.
    """
    if base.task != "translation":
        message = f"{base.name} does {base.task}: start from a model that translates."
        raise Unsupported(message, code="not_adaptable", param="model")
    field, headline = "translation_text", ("chrf", "bleu")
    adaptation = TextAdaptation(checkpoint, base, field=field, scores=translation_scores, headline=headline)
    refuse_swapped(adaptation, examples)
    return adaptation
