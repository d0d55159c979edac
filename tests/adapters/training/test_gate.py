"""The gate refuses every way in which an export can be wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from onnx import numpy_helper

from adapters.training.gate import Expected, prove, prove_shapes
from adapters.training.recipe import load_recipe
from tests.conftest import TinyZoo
from zoo.catalogue.entry import ModelEntry
from zoo.errors import ParityFailed

TEXTS = ["my parcel was late", "card charged again", "password", "why is the price not the price", "locked", "help"]


@pytest.fixture
def version(tiny_zoo: TinyZoo, tmp_path: Path) -> tuple[Path, ModelEntry, Expected]:
    """A copy of a sound version that the test breaks, and what torch answers."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = tmp_path / "version"
    shutil.copytree(tiny_zoo.store.folder("mood", 1), folder)
    checkpoint = tiny_zoo.checkpoints / "mood"
    model: Any = AutoModelForSequenceClassification.from_pretrained(checkpoint).eval()
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    outputs = []
    with torch.no_grad():
        for text in TEXTS:
            encoded = tokenizer(text, return_tensors="pt")
            outputs.append(model(encoded["input_ids"], attention_mask=encoded["attention_mask"]).logits[0])
    logits = torch.stack(outputs)
    labels = [model.config.id2label[place] for place in logits.argmax(dim=1).tolist()]
    return folder, tiny_zoo.store.entry("mood", 1), Expected(TEXTS, logits, labels)


def judge(folder: Path, entry: ModelEntry, expected: Expected) -> Any:
    return prove(folder, entry, expected, threads=1, served_answer=lambda body: str(body[0][0]["label"]))  # type: ignore[index]


def edit(folder: Path, change: Callable[[onnx.ModelProto], None]) -> None:
    graph = onnx.load(folder / "model.onnx")
    change(graph)
    onnx.save(graph, folder / "model.onnx")


def scale_weight(name_part: str, factor: float) -> Callable[[onnx.ModelProto], None]:
    def change(graph: onnx.ModelProto) -> None:
        found = [tensor for tensor in graph.graph.initializer if name_part in tensor.name]
        assert found, [tensor.name for tensor in graph.graph.initializer]
        for tensor in found:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * factor, tensor.name))

    return change


def test_a_sound_version_passes_with_its_numbers(version: tuple[Path, ModelEntry, Expected]) -> None:
    parity = judge(*version)
    assert parity.rows == len(TEXTS)
    assert parity.max_abs_difference <= 1e-4
    assert parity.argmax_agreement == 1.0


def test_a_dropped_head_is_refused(version: tuple[Path, ModelEntry, Expected]) -> None:
    folder, entry, expected = version
    edit(folder, scale_weight("model.classifier.bias", 0.0))
    edit(folder, scale_weight("model.classifier.weight", 0.0))
    with pytest.raises(ParityFailed, match="largest difference"):
        judge(folder, entry, expected)


def test_shuffled_labels_are_refused_though_the_logits_agree(version: tuple[Path, ModelEntry, Expected]) -> None:
    folder, entry, expected = version
    shuffled = entry.model_copy(update={"labels": ("good", "so-so", "bad")})
    with pytest.raises(ParityFailed, match="equal answers on 0.00%"):
        judge(folder, shuffled, expected)


def test_a_weight_of_twice_its_size_is_refused(version: tuple[Path, ModelEntry, Expected]) -> None:
    folder, entry, expected = version
    edit(folder, scale_weight("classifier.weight", 2.0))
    with pytest.raises(ParityFailed, match="largest difference"):
        judge(folder, entry, expected)


def test_a_truncated_file_is_refused(version: tuple[Path, ModelEntry, Expected]) -> None:
    folder, entry, expected = version
    content = (folder / "model.onnx").read_bytes()
    (folder / "model.onnx").write_bytes(content[: len(content) // 2])
    with pytest.raises(ParityFailed, match="cannot be served"):
        judge(folder, entry, expected)


def test_a_wrong_tokenizer_is_refused(version: tuple[Path, ModelEntry, Expected]) -> None:
    folder, entry, expected = version
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    pieces = sorted(tokenizer["model"]["vocab"], key=tokenizer["model"]["vocab"].__getitem__)
    kept, words = pieces[:5], pieces[5:]
    tokenizer["model"]["vocab"] = {piece: place for place, piece in enumerate(kept + words[::-1])}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(ParityFailed, match="largest difference"):
        judge(folder, entry, expected)


def test_a_missing_label_is_refused(version: tuple[Path, ModelEntry, Expected]) -> None:
    folder, entry, expected = version
    with pytest.raises(ParityFailed):
        judge(folder, entry.model_copy(update={"labels": ("bad", "good")}), expected)


def test_one_answer_out_of_many_is_enough_to_refuse(version: tuple[Path, ModelEntry, Expected]) -> None:
    folder, entry, expected = version
    other = ["good" if label != "good" else "bad" for label in expected.labels[:1]]
    with pytest.raises(ParityFailed, match="equal answers on 83.33%"):
        judge(folder, entry, replace(expected, labels=[*other, *expected.labels[1:]]))


def test_values_that_are_no_numbers_are_refused(version: tuple[Path, ModelEntry, Expected]) -> None:
    folder, entry, expected = version
    edit(folder, scale_weight("model.classifier.bias", float("nan")))
    with pytest.raises(ParityFailed, match="no numbers"):
        judge(folder, entry, expected)


def test_an_import_whose_graph_answers_otherwise_is_refused(tiny_zoo: TinyZoo, tmp_path: Path) -> None:
    folder = tmp_path / "version"
    shutil.copytree(tiny_zoo.store.folder("mini", 1), folder)
    edit(folder, scale_weight("LayerNorm.weight", 1.01))
    servable = load_recipe("feature-extraction").load(tiny_zoo.checkpoints / "mini")
    with pytest.raises(ParityFailed, match="largest difference"):
        prove_shapes(folder, servable, threads=1)
