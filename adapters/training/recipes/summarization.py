"""summarization: imports BART and T5; adapts them to texts with their summaries."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from adapters.datasets import Example
from adapters.jobs import Hyperparameters
from adapters.training.layouts.text_to_text import read_text_to_text
from adapters.training.recipe import Servable
from adapters.training.texts.adaptation import TextAdaptation
from adapters.training.texts.scores import summary_scores
from adapters.training.texts.servable import text_servable
from zoo.catalogue.entry import ModelEntry
from zoo.errors import Unsupported
from zoo.tasks.ready_made.summarization import TASKS

__all__ = ["TASKS", "adapt", "load"]


def load(checkpoint: Path) -> Servable:
    """Raises ``InvalidInput`` for a checkpoint that contradicts itself, ``Unsupported`` for other architectures."""
    return text_servable(read_text_to_text(checkpoint, TASKS))


def adapt(
    checkpoint: Path, base: ModelEntry, examples: Sequence[Example], *, labels: tuple[str, ...], asked: Hyperparameters
) -> TextAdaptation:
    """Any imported model that summarises; raises ``Unsupported`` (``not_adaptable``) for models of other tasks."""
    if base.task != "summarization":
        message = f"{base.name} does {base.task}: start from a model that summarises."
        raise Unsupported(message, code="not_adaptable", param="model")
    field, headline = "summary_text", ("rouge_l", "rouge_1")
    return TextAdaptation(checkpoint, base, field=field, scores=summary_scores, headline=headline)
