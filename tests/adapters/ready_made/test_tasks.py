"""Ready-made graphs of one network answer as transformers' pipelines do on the same weights, without torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from onnxruntime.quantization import quantize_dynamic
from transformers import AutoModelForQuestionAnswering, AutoTokenizer, pipeline

from adapters.training.importing import checkpoint_of
from api.fine_tune import adaptable
from tests.adapters.ready_made.imports import imported, imported_lightly
from tests.conftest import TinyZoo
from tests.tiny_graphs import write_classifier, write_encoder, write_filler, write_reader, write_tagger
from tests.zoo.tasks.test_question_answering import Reference
from zoo.catalogue.registry import Registry
from zoo.catalogue.store import Store
from zoo.engine.predictor import Predictor
from zoo.errors import InvalidInput

GAPS = ["my [MASK] was late", "why is the [MASK] not the [MASK] ?"]
TEXTS = ["my parcel was late", "Refund my card!", "why is the price not the price " * 4]
QUESTION = {"question": "what was late?", "context": "the order was fine but my parcel is lost again today"}


@pytest.fixture(scope="module")
def folders(tiny_zoo: TinyZoo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders with graphs; those of tagger, reader and filler hold weights too."""
    root = tmp_path_factory.mktemp("ready-made")
    write_classifier(root / "classifier", tiny_zoo)
    write_encoder(root / "encoder", tiny_zoo)
    write_tagger(root / "tagger", tiny_zoo)
    write_reader(root / "reader", tiny_zoo)
    write_filler(root / "filler", tiny_zoo)
    return root


@pytest.fixture(scope="module")
def answers(folders: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What all of them say where there is no torch."""
    inputs = {"classifier": TEXTS, "encoder": TEXTS, "tagger": TEXTS, "reader": QUESTION, "filler": GAPS}
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
    model = AutoModelForQuestionAnswering.from_pretrained(folders / "reader")
    reference = Reference(model, AutoTokenizer.from_pretrained(folders / "reader"))
    (expected,) = reference(QUESTION["question"], QUESTION["context"])
    assert answers["reader"] == {**expected, "score": pytest.approx(expected["score"], abs=1e-4)}


def test_a_filler_answers_as_the_pipeline(answers: dict[str, Any], folders: Path) -> None:
    reference: Any = pipeline("fill-mask", model=str(folders / "filler"), device="cpu")
    one, two = reference(GAPS[0]), reference(GAPS[1])
    for served, other in zip([answers["filler"][0], *answers["filler"][1]], [one, *two], strict=True):
        assert [(item["token"], item["sequence"]) for item in served] == [
            (item["token"], item["sequence"]) for item in other
        ]
        assert [item["score"] for item in served] == pytest.approx([item["score"] for item in other], abs=1e-4)


@pytest.mark.parametrize("write", [write_classifier])
def test_without_weights_the_parity_says_that_nothing_was_compared(
    tiny_zoo: TinyZoo, tmp_path: Path, write: Callable[[Path, TinyZoo], Path]
) -> None:
    entry = imported(tmp_path, write(tmp_path / "folder", tiny_zoo)).entry
    assert entry.parity["compared"] is False
    assert entry.parity["reason"] == "no safetensors lie beside the ready-made graph"
    assert entry.parity["rows"] >= 10
    assert sorted(file.path for file in entry.files) == ["model.onnx", "tokenizer.json"]


def test_a_graph_with_weights_beside_it_is_compared_and_kept_with_them(folders: Path, tmp_path: Path) -> None:
    entry = imported(tmp_path, folders / "reader").entry
    assert (entry.parity["compared"], entry.parity["argmax_agreement"]) == (True, 1.0)
    assert entry.parity["max_abs_difference"] <= entry.parity["tolerance"]
    assert "checkpoint/model.safetensors" in {file.path for file in entry.files}
    assert checkpoint_of(Store(tmp_path), entry).is_dir()


def test_a_graph_without_weights_cannot_be_adapted_and_the_error_says_the_way_out(
    tiny_zoo: TinyZoo, tmp_path: Path
) -> None:
    entry = imported(tmp_path, write_encoder(tmp_path / "folder", tiny_zoo)).entry
    store = Store(tmp_path)
    services: Any = SimpleNamespace(store=store, registry=Registry(store, {}))
    for refuse in (lambda: adaptable("mine", services), lambda: checkpoint_of(store, entry)):
        with pytest.raises(InvalidInput, match="import it again from a .*safetensors") as caught:
            refuse()
        assert (caught.value.code, caught.value.param) == ("not_adaptable", "model")


def test_a_graph_of_8_bits_is_served_as_such(tiny_zoo: TinyZoo, tmp_path: Path) -> None:
    folder = write_classifier(tmp_path / "folder", tiny_zoo)
    exact = folder / "onnx" / "model.onnx"
    quantize_dynamic(exact, folder / "onnx" / "model_quantized.onnx")
    served = imported(tmp_path / "home", folder, precision="int8")
    assert (served.entry.precision, served.entry.parity["compared"]) == ("int8", False)
    (logits,) = served.rows(TEXTS[:1])
    (exactly,) = Predictor(tiny_zoo.store.entry("mood", 1), tiny_zoo.store.folder("mood", 1), threads=1).rows(TEXTS[:1])
    assert 0 < np.abs(logits - exactly).max() < 1.0  # type: ignore[operator]


def test_a_graph_that_rounds_by_the_batch_answers_each_text_as_it_does_alone(tiny_zoo: TinyZoo, tmp_path: Path) -> None:
    folder = write_classifier(tmp_path / "folder", tiny_zoo)
    quantize_dynamic(folder / "onnx" / "model.onnx", folder / "onnx" / "model_quantized.onnx")
    served = imported(tmp_path / "home", folder, precision="int8")
    assert served.entry.options["rows_alone"] is True
    together = served.rows(TEXTS)
    for text, beside in zip(TEXTS, together, strict=True):
        np.testing.assert_array_equal(beside, served.rows([text])[0])


def test_an_exact_graph_shares_its_runs(tiny_zoo: TinyZoo, tmp_path: Path) -> None:
    served = imported(tmp_path / "home", write_classifier(tmp_path / "folder", tiny_zoo))
    assert "rows_alone" not in served.entry.options
