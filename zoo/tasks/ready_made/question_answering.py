"""question-answering: ``start_logits`` and ``end_logits``, (batch, tokens) each, become (batch, tokens, 2)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from zoo.catalogue.onnx_file import OnnxFile
from zoo.tasks.processors.windows import WINDOWS
from zoo.tasks.ready_made.description import Description, answers_with, main_graph
from zoo.tasks.ready_made.encoder import INPUTS, encoder, require_head


def describe(checkpoint: Path, graphs: Mapping[str, OnnxFile]) -> Description:
    """A reader."""
    require_head(checkpoint, "ForQuestionAnswering", "question-answering")
    answers = answers_with(main_graph(graphs, INPUTS), "start_logits", "end_logits")
    return encoder(checkpoint, answers, ("rows", "tokens", 2), limits={"windows": WINDOWS})
