"""text-classification: ``logits`` (batch, labels)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from zoo.catalogue.hub_layout import function_to_apply, labels, read_json
from zoo.catalogue.onnx_file import OnnxFile
from zoo.tasks.ready_made.description import Description, answers_with, main_graph
from zoo.tasks.ready_made.encoder import INPUTS, check_width, encoder, require_head


def describe(checkpoint: Path, graphs: Mapping[str, OnnxFile]) -> Description:
    """A classifier of whole texts."""
    require_head(checkpoint, "ForSequenceClassification", "text-classification")
    config = read_json(checkpoint / "config.json")
    graph, classes = main_graph(graphs, INPUTS), labels(config)
    check_width(graph, "logits", len(classes))
    answers = answers_with(graph, "logits")
    function = function_to_apply(config, len(classes))
    return encoder(checkpoint, answers, ("rows", len(classes)), labels=classes, function_to_apply=function)
