"""token-classification: ``logits`` (batch, tokens, labels)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from zoo.catalogue.hub_layout import labels, read_json
from zoo.catalogue.onnx_file import OnnxFile
from zoo.tasks.processors.windows import WINDOWS
from zoo.tasks.ready_made.description import Description, answers_with, main_graph
from zoo.tasks.ready_made.encoder import INPUTS, check_width, encoder, require_head


def describe(checkpoint: Path, graphs: Mapping[str, OnnxFile]) -> Description:
    """A tagger."""
    require_head(checkpoint, "ForTokenClassification", "token-classification")
    graph, classes = main_graph(graphs, INPUTS), labels(read_json(checkpoint / "config.json"))
    check_width(graph, "logits", len(classes))
    answers, shape = answers_with(graph, "logits"), ("rows", "tokens", len(classes))
    return encoder(checkpoint, answers, shape, labels=classes, limits={"windows": WINDOWS})
