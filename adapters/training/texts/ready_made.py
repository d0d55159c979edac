"""What torch and a ready-made encoder with its merged decoder say to the same texts, step by step."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from adapters.training.gate import Answer
from adapters.training.graphs_in_torch import GraphsInTorch
from adapters.training.recipe import Servable
from zoo.catalogue.entry import ModelEntry
from zoo.engine.predictor import MODEL_FILE
from zoo.engine.session import Array, Sessions
from zoo.tasks.decoding.cached_decoder import Decoder, Ids
from zoo.tasks.decoding.text_settings import TextSettings
from zoo.tasks.decoding.writer import Writer
from zoo.tasks.ready_made.answers import runs_of
from zoo.tasks.task import Runs

LENGTHS = (9, 2, 5)  # of texts, in tokens
STEPS = 4  # of each hypothesis
SPLIT = np.array([[0, 0], [0, 0], [0, 0]])  # each text goes on in two ways
KEPT = np.array([0, 2])  # of the texts, for the last steps


def written(
    servable: Servable, entry: ModelEntry, staged: Path, *, threads: int
) -> tuple[list[Answer], list[list[Array]]]:
    """Logits of the checkpoint in torch and of the graphs: one for each step of a search over random texts."""
    draw = np.random.default_rng(0)
    settings = TextSettings.of(servable.options["text_to_text"])
    most = servable.limits["max_tokens"]
    texts = [draw.integers(0, settings.vocabulary, min(length, most)) for length in LENGTHS]
    tokens = [draw.integers(0, settings.vocabulary, (len(LENGTHS), 2, 1)) for _ in range(STEPS)]
    ready = runs_of(Sessions(staged, main=MODEL_FILE, threads=threads), entry.options)
    sides: list[tuple[object, Runs]] = [
        (servable.options["text_to_text"], GraphsInTorch(servable)),
        (entry.options["text_to_text"], ready),
    ]
    trained, served = (
        list(_steps(Writer(TextSettings.of(options)).decoder(texts, runs), settings.start, tokens))
        for options, runs in sides
    )
    return [Answer({}, [logits]) for logits in trained], [[logits] for logits in served]


def _steps(decoder: Decoder, start: int, tokens: list[Ids]) -> Iterator[Array]:
    """As a search goes: one hypothesis, then two, then fewer texts."""
    yield decoder.step(np.full((len(LENGTHS), 1, 1), start, dtype=np.int64))
    decoder.choose(SPLIT)
    for place, some in enumerate(tokens):
        if place == STEPS // 2:
            decoder.keep(KEPT)
        yield decoder.step(some[KEPT] if place >= STEPS // 2 else some)
