"""Whisper is imported from a folder of either layout, and answers as transformers does."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import WhisperForConditionalGeneration

from adapters.training.export import export
from adapters.training.gate import answers_of, prove_shapes
from adapters.training.recipe import load_recipe
from tests.tiny_whisper import SPEAKING, tiny_whisper, write_ctranslate2, write_tokenizer


@pytest.fixture(scope="module")
def model() -> WhisperForConditionalGeneration:
    return tiny_whisper(vocabulary=SPEAKING)


def test_both_graphs_answer_as_torch_on_every_size(model: WhisperForConditionalGeneration, tmp_path: Path) -> None:
    write_tokenizer(tmp_path)
    servable = load_recipe("automatic-speech-recognition").load(write_ctranslate2(tmp_path, model))
    for file, graph in servable.graphs().items():
        export(graph, tmp_path / file)
        assert prove_shapes(tmp_path, answers_of(graph), threads=1, file=file).argmax_agreement == 1.0
