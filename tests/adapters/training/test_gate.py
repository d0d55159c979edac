"""The gate refuses every way in which an adapted model's export can be wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from onnx import numpy_helper

from adapters.training import gate
from adapters.training.gate import Expected, prove
from tests.conftest import TinyZoo
from zoo.catalogue.entry import ModelEntry
from zoo.errors import ParityFailed

TEXTS = ["my parcel was late", "card charged again", "password", "why is the price not the price", "locked", "help"]


@dataclass(frozen=True)
class Trained:
    """What torch answers to ``TEXTS``, and what agrees with it."""

    outputs: torch.Tensor
    agrees: Callable[[int, object], bool]


@pytest.fixture
def version(tiny_zoo: TinyZoo, tmp_path: Path) -> tuple[Path, ModelEntry, Trained]:
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

    def agrees(place: int, body: Any) -> bool:
        return bool(body[0][0]["label"] == labels[place])

    return folder, tiny_zoo.store.entry("mood", 1), Trained(logits, agrees)


def judge(folder: Path, entry: ModelEntry, trained: Trained) -> Any:
    return prove(folder, entry, Expected.of_rows(TEXTS, trained.outputs, trained.agrees), threads=1)


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


def test_a_sound_version_passes_with_its_numbers(version: tuple[Path, ModelEntry, Trained]) -> None:
    parity = judge(*version)
    assert parity.rows == len(TEXTS)
    assert parity.max_abs_difference <= 1e-4
    assert parity.argmax_agreement == 1.0


def test_a_dropped_head_is_refused(version: tuple[Path, ModelEntry, Trained]) -> None:
    folder, entry, expected = version
    edit(folder, scale_weight("model.classifier.bias", 0.0))
    edit(folder, scale_weight("model.classifier.weight", 0.0))
    with pytest.raises(ParityFailed, match="largest difference"):
        judge(folder, entry, expected)


def test_shuffled_labels_are_refused_though_the_logits_agree(version: tuple[Path, ModelEntry, Trained]) -> None:
    folder, entry, expected = version
    shuffled = entry.model_copy(update={"labels": ("good", "so-so", "bad")})
    with pytest.raises(ParityFailed, match="equal answers on 0.00%"):
        judge(folder, shuffled, expected)


def test_a_weight_of_twice_its_size_is_refused(version: tuple[Path, ModelEntry, Trained]) -> None:
    folder, entry, expected = version
    edit(folder, scale_weight("classifier.weight", 2.0))
    with pytest.raises(ParityFailed, match="largest difference"):
        judge(folder, entry, expected)


def test_a_truncated_file_is_refused(version: tuple[Path, ModelEntry, Trained]) -> None:
    folder, entry, expected = version
    content = (folder / "model.onnx").read_bytes()
    (folder / "model.onnx").write_bytes(content[: len(content) // 2])
    with pytest.raises(ParityFailed, match="cannot be served"):
        judge(folder, entry, expected)


def test_a_wrong_tokenizer_is_refused(version: tuple[Path, ModelEntry, Trained]) -> None:
    folder, entry, expected = version
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    pieces = sorted(tokenizer["model"]["vocab"], key=tokenizer["model"]["vocab"].__getitem__)
    kept, words = pieces[:5], pieces[5:]
    tokenizer["model"]["vocab"] = {piece: place for place, piece in enumerate(kept + words[::-1])}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(ParityFailed, match="largest difference"):
        judge(folder, entry, expected)


def test_a_missing_label_is_refused(version: tuple[Path, ModelEntry, Trained]) -> None:
    folder, entry, expected = version
    with pytest.raises(ParityFailed):
        judge(folder, entry.model_copy(update={"labels": ("bad", "good")}), expected)


def test_one_answer_out_of_many_is_enough_to_refuse(version: tuple[Path, ModelEntry, Trained]) -> None:
    folder, entry, expected = version

    def agrees(place: int, body: object) -> bool:
        return expected.agrees(place, body) and place != 5

    with pytest.raises(ParityFailed, match="equal answers on 83.33%"):
        judge(folder, entry, replace(expected, agrees=agrees))


def test_rows_beyond_those_that_are_in_memory_together_are_compared_too(
    version: tuple[Path, ModelEntry, Trained], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "AT_ONCE", 4)
    folder, entry, expected = version
    assert judge(folder, entry, expected).rows == len(TEXTS)
    moved = expected.outputs.clone()
    moved[-1, 0] += 0.25
    with pytest.raises(ParityFailed, match=r"largest difference 0\.25"):
        judge(folder, entry, replace(expected, outputs=moved))


@pytest.mark.parametrize(("largest", "tolerance"), [(0.5, 1e-4), (10.0, 1e-4), (20.0, 2e-4), (1000.0, 1e-2)])
def test_outputs_beyond_ten_alone_may_differ_by_more(
    version: tuple[Path, ModelEntry, Trained], largest: float, tolerance: float
) -> None:
    folder, entry, expected = version
    factor = largest / float(expected.outputs.abs().max())
    for part in ("model.classifier.weight", "model.classifier.bias"):
        edit(folder, scale_weight(part, factor))
    scaled = replace(expected, outputs=expected.outputs * factor)
    assert judge(folder, entry, scaled).tolerance == pytest.approx(tolerance)
    for share, passes in ((0.8, True), (1.3, False)):
        moved = scaled.outputs.clone()
        moved[2, 1] += share * tolerance
        if passes:
            assert judge(folder, entry, replace(scaled, outputs=moved)).max_abs_difference <= tolerance
        else:
            with pytest.raises(ParityFailed, match="largest difference"):
                judge(folder, entry, replace(scaled, outputs=moved))


def test_values_that_are_no_numbers_are_refused(version: tuple[Path, ModelEntry, Trained]) -> None:
    folder, entry, expected = version
    edit(folder, scale_weight("model.classifier.bias", float("nan")))
    with pytest.raises(ParityFailed, match="no numbers"):
        judge(folder, entry, expected)
