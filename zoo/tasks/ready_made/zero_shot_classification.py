"""zero-shot-classification: a classifier that was trained on entailment."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from zoo.catalogue.onnx_file import OnnxFile
from zoo.errors import Unsupported
from zoo.tasks.ready_made import text_classification
from zoo.tasks.ready_made.description import Description


def describe(checkpoint: Path, graphs: Mapping[str, OnnxFile]) -> Description:
    """As one for text-classification; of its labels one begins with ``entail``."""
    found = text_classification.describe(checkpoint, graphs)
    if len(found.labels) < 2 or not any(label.lower().startswith("entail") for label in found.labels):
        message = "The checkpoint was not trained on entailment: none of its labels begins with entail."
        raise Unsupported(message, code="unsupported_task", param="task")
    return found
