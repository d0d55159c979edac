"""An encoder with a merged decoder writes what transformers' generate writes with the same weights, without torch."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

from tests.adapters.ready_made.imports import imported_lightly, run
from tests.tiny_merged import write_merged
from tests.tiny_texts import write_bart
from zoo.catalogue.store import Store
from zoo.errors import ParityFailed, ZooError

TEXTS = ["the cat sees a big dog", "he likes the red house", "big"]
SEARCHES: list[dict[str, Any]] = [{}, {"num_beams": 1}, {"num_beams": 4, "length_penalty": 0.5, "max_new_tokens": 9}]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BART that summarises, its graphs beside its weights."""
    return write_merged(write_bart(tmp_path_factory.mktemp("merged") / "bart"))


def test_texts_of_a_batch_are_answered_with_what_generate_writes(folder: Path, tmp_path: Path) -> None:
    source = {"kind": "folder", "path": str(folder)}
    asked = [
        {"model": f"short-{place}", "source": source, "inputs": TEXTS, "parameters": {"generate_parameters": search}}
        for place, search in enumerate(SEARCHES)
    ]
    model: Any = AutoModelForSeq2SeqLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for search, body in zip(SEARCHES, imported_lightly(tmp_path, asked), strict=True):
        for text, answer in zip(TEXTS, body, strict=True):
            written = model.generate(**tokenizer(text, return_tensors="pt"), **search)[0]
            assert answer["summary_text"] == tokenizer.decode(written, skip_special_tokens=True).strip()


def test_graphs_are_compared_with_the_weights_beside_them(folder: Path, tmp_path: Path) -> None:
    context = run(tmp_path, folder)
    entry = Store(tmp_path).entry("mine", 1)
    assert (entry.parity["compared"], entry.parity["argmax_agreement"]) == (True, 1.0)
    assert entry.parity["max_abs_difference"] <= entry.parity["tolerance"]
    assert {"model.onnx", "decoder.onnx", "checkpoint/model.safetensors"} <= {file.path for file in entry.files}
    assert any("ready-made graph and its weights" in message for message in context.messages)


def test_graphs_of_other_weights_are_not_published(folder: Path, tmp_path: Path) -> None:
    other = shutil.copytree(folder, tmp_path / "other")
    weights = load_file(other / "model.safetensors")
    name = next(name for name in weights if name.endswith("decoder.layers.1.fc1.weight"))
    weights[name] = weights[name] + 0.1 * torch.ones_like(weights[name])
    save_file(weights, other / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ParityFailed, match="not of one model") as caught:
        run(tmp_path / "home", other)
    assert caught.value.param == "source"
    assert Store(tmp_path / "home").names() == []


def test_an_encoder_without_its_merged_decoder_is_named(folder: Path, tmp_path: Path) -> None:
    half = shutil.copytree(folder, tmp_path / "half")
    (half / "onnx" / "decoder_model_merged.onnx").unlink()
    (half / "model.safetensors").unlink()
    with pytest.raises(ZooError, match=r"decoder_model_merged\.onnx") as caught:
        run(tmp_path / "home", half)
    assert caught.value.code == "incomplete_graph"
