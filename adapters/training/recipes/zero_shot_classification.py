"""zero-shot-classification: imports classifiers that were trained on entailment (NLI).

They are adapted as any other classifier: text-classification of pairs whose labels are entailment, neutral and
contradiction. What comes out answers both tasks.
"""

from __future__ import annotations

from pathlib import Path

from adapters.training.recipe import Servable
from adapters.training.sentences.sequence_classifier import read_classifier
from zoo.errors import Unsupported


def load(checkpoint: Path) -> Servable:
    """A checkpoint with its own classification head, of whose labels one begins with ``entail``."""
    servable = read_classifier(checkpoint)
    if len(servable.labels) < 2 or not any(label.lower().startswith("entail") for label in servable.labels):
        message = "The checkpoint was not trained on entailment: none of its labels begins with entail."
        raise Unsupported(message, code="unsupported_task", param="task")
    return servable
