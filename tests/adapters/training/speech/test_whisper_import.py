"""Whisper is imported from a folder of either layout, and answers as transformers does."""

from __future__ import annotations

from pathlib import Path

from tests.imports import Imports
from tests.tiny_whisper import write_ears
from zoo.catalogue.store import Store


def test_both_graphs_answer_as_torch_on_every_size(imports: Imports, tmp_path: Path) -> None:
    imports.bring(tmp_path, "ears", write_ears(tmp_path / "checkpoint"), task="automatic-speech-recognition")
    entry = Store(tmp_path).entry("ears", 1)
    assert {file.path for file in entry.files} >= {"model.onnx", "decoder.onnx"}
    assert entry.parity["argmax_agreement"] == 1.0  # of both, and every size is tried of each
