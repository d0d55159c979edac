"""feature-extraction: a vector for each token, (batch, tokens, width), under a name that exporters give it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from zoo.catalogue.hub_layout import pooling, prompts, read_json
from zoo.catalogue.onnx_file import OnnxFile
from zoo.errors import Unsupported
from zoo.tasks.ready_made.answers import Answers
from zoo.tasks.ready_made.description import Description, main_graph
from zoo.tasks.ready_made.encoder import INPUTS, encoder

NAMES = ("last_hidden_state", "token_embeddings")  # of optimum and transformers.js, of sentence-transformers


def describe(checkpoint: Path, graphs: Mapping[str, OnnxFile]) -> Description:
    """An encoder, pooled as the checkpoint's own modules say."""
    graph = main_graph(graphs, INPUTS)
    name = next((name for name in NAMES if graph.output(name) is not None), None)
    if name is None:
        there = ", ".join(value.name[:64] for value in graph.outputs[:8])
        message = f"The graph answers no vector for each token ({' or '.join(NAMES)}); it answers {there}."
        raise Unsupported(message, code="unsupported_graph")
    config = read_json(checkpoint / "config.json")
    width = config.get("hidden_size") or config.get("dim")
    if not isinstance(width, int) or width < 1:
        raise Unsupported("config.json does not say how wide vectors are (hidden_size).", code="unsupported_graph")
    mode, normalise = pooling(checkpoint)
    shape = ("rows", "tokens", width)
    options = {"pooling": mode, "normalise": normalise, **prompts(checkpoint)}
    return encoder(checkpoint, Answers(outputs=(name,)), shape, limits={"width": width}, **options)
