"""Ready-made graphs of one network answer as transformers' pipelines do on the same weights, without torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import pipeline

from tests.adapters.ready_made.imports import imported, imported_lightly
from tests.conftest import TinyZoo
from tests.tiny_graphs import write_classifier, write_encoder, write_reader, write_tagger

TEXTS = ["my parcel was late", "Refund my card!", "why is the price not the price " * 4]
QUESTION = {"question": "what was late?", "context": "the order was fine but my parcel is lost again today"}


@pytest.fixture(scope="module")
def folders(tiny_zoo: TinyZoo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four folders with graphs; those of tagger and reader hold weights too."""
    root = tmp_path_factory.mktemp("ready-made")
    write_classifier(root / "classifier", tiny_zoo)
    write_encoder(root / "encoder", tiny_zoo)
    write_tagger(root / "tagger", tiny_zoo)
    write_reader(root / "reader", tiny_zoo)
    return root


@pytest.fixture(scope="module")
def answers(folders: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What all four say where there is no torch."""
    inputs = {"classifier": TEXTS, "encoder": TEXTS, "tagger": TEXTS, "reader": QUESTION}
    asked = [
        {"model": name, "source": {"kind": "folder", "path": str(folders / name)}, "inputs": given}
        for name, given in inputs.items()
    ]
    told = imported_lightly(tmp_path_factory.mktemp("light"), asked)
    return dict(zip(inputs, told, strict=True))


def test_a_classifier_answers_as_the_pipeline(tiny_zoo: TinyZoo, answers: dict[str, Any]) -> None:
    reference: Any = pipeline("text-classification", model=str(tiny_zoo.checkpoints / "mood"), device="cpu")
    expected = reference(TEXTS, top_k=None, truncation=True, max_length=48)
    for served, other in zip(answers["classifier"], expected, strict=True):
        assert [item["label"] for item in served] == [item["label"] for item in other]
        assert [item["score"] for item in served] == pytest.approx([item["score"] for item in other], abs=1e-4)


def test_an_encoder_is_pooled_as_its_modules_say(answers: dict[str, Any], tiny_zoo: TinyZoo, folders: Path) -> None:
    reference: Any = pipeline("feature-extraction", model=str(tiny_zoo.checkpoints / "mini"), device="cpu")
    for served, tokens in zip(answers["encoder"], reference(TEXTS), strict=True):
        mean = np.asarray(tokens[0]).mean(axis=0)
        np.testing.assert_allclose(served, mean / np.linalg.norm(mean), atol=1e-4)


def test_a_tagger_answers_as_the_pipeline(answers: dict[str, Any], folders: Path) -> None:
    reference: Any = pipeline(
        "token-classification", model=str(folders / "tagger"), aggregation_strategy="simple", device="cpu"
    )
    for served, other in zip(answers["tagger"], reference(TEXTS), strict=True):
        assert [(one["entity_group"], one["start"], one["end"]) for one in served] == [
            (one["entity_group"], one["start"], one["end"]) for one in other
        ]
        assert [one["score"] for one in served] == pytest.approx([float(one["score"]) for one in other], abs=1e-4)


def test_a_reader_answers_as_the_pipeline(answers: dict[str, Any], folders: Path) -> None:
    reference: Any = pipeline("question-answering", model=str(folders / "reader"), device="cpu")
    served, expected = answers["reader"], reference(**QUESTION)
    assert (served["answer"], served["start"], served["end"]) == (
        expected["answer"].strip(),
        expected["start"],
        expected["end"],
    )
    assert served["score"] == pytest.approx(expected["score"], abs=1e-4)


@pytest.mark.parametrize("write", [write_classifier, write_encoder])
def test_without_weights_the_parity_says_that_nothing_was_compared(
    tiny_zoo: TinyZoo, tmp_path: Path, write: Callable[[Path, TinyZoo], Path]
) -> None:
    entry = imported(tmp_path, write(tmp_path / "folder", tiny_zoo)).entry
    assert entry.parity["compared"] is False
    assert entry.parity["reason"] == "no safetensors lie beside the ready-made graph"
    assert entry.parity["rows"] >= 10
    assert sorted(file.path for file in entry.files) == ["model.onnx", "tokenizer.json"]
