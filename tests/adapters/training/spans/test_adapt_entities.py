"""The fine-tune job on entities, from tokens and tags to a served version, on a tiny body."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adapters.training import adapt, lora
from tests.adapters.training.spans.span_jobs import LONGER, asked, own, upload
from tests.conftest import TinyZoo
from tests.tiny_spans import tagged_rows
from zoo.engine.predictor import Predictor
from zoo.errors import InvalidDataset, ParityFailed

TAGS = ("O", "B-ACCOUNT", "I-ACCOUNT", "B-MONEY", "I-MONEY")


@pytest.fixture(scope="module")
def adapted(bodies: TinyZoo, tmp_path_factory: pytest.TempPathFactory) -> tuple[TinyZoo, dict[str, Any]]:
    zoo = own(bodies, tmp_path_factory.mktemp("adapted-entities"))
    return zoo, adapt.run(
        asked(zoo, training_file=upload(zoo, tagged_rows(300)), seed=3, hyperparameters=LONGER), zoo.settings
    )


def found_in(zoo: TinyZoo, text: str, name: str = "finder") -> list[tuple[str, str]]:
    predictor = Predictor(zoo.store.entry(name, 1), zoo.store.folder(name, 1), threads=1)
    body: Any = predictor.predict(text).body
    return [(one["entity_group"], text[one["start"] : one["end"]]) for one in body]


def test_what_was_learnt_is_found_in_plain_text(adapted: tuple[TinyZoo, dict[str, Any]]) -> None:
    zoo, result = adapted
    assert result["fine_tuned_model"] == "finder@1"
    text = "was my Invoice price please not the Password today"
    assert found_in(zoo, text) == [("MONEY", "Invoice price"), ("ACCOUNT", "Password")]


def test_figures_are_those_of_whole_entities(adapted: tuple[TinyZoo, dict[str, Any]]) -> None:
    zoo, result = adapted
    entry = zoo.store.entry("finder", 1)
    assert (entry.task, entry.base, entry.labels) == ("token-classification", "mini@1", TAGS)
    assert set(result["metrics"]["heldout"]) == {"rows", "f1", "precision", "recall"}
    assert result["metrics"]["heldout"]["f1"] >= 0.9
    assert set(entry.metrics["heldout"]["per_class"]) == {"ACCOUNT", "MONEY"}
    assert entry.parity["max_abs_difference"] <= 1e-4 and entry.parity["argmax_agreement"] == 1.0
    card = (zoo.store.folder("finder", 1) / "README.md").read_text()
    assert "| f1 | precision | recall |" in card and "| MONEY |" in card


def test_a_version_answers_with_what_it_was_measured_by(adapted: tuple[TinyZoo, dict[str, Any]]) -> None:
    zoo, _ = adapted
    entry = zoo.store.entry("finder", 1)
    assert entry.options["aggregation_strategy"] == "first"
    predictor = Predictor(entry, zoo.store.folder("finder", 1), threads=1)
    text = "my invoices were late"
    assert predictor.predict(text).body == predictor.predict(text, {"aggregation_strategy": "first"}).body


def test_texts_longer_than_the_model_are_learnt_and_measured_whole(adapted: tuple[TinyZoo, dict[str, Any]]) -> None:
    zoo, _ = adapted
    rows = tagged_rows(480, seed=5)
    joined = [
        {name: [part for row in rows[at : at + 16] for part in row[name]] for name in ("tokens", "ner_tags")}
        for at in range(0, len(rows), 16)
    ]
    context = asked(zoo, job="long", suffix="long", training_file=upload(zoo, joined), hyperparameters=LONGER)
    result = adapt.run(context, zoo.settings)
    assert result["metrics"]["heldout"]["recall"] >= 0.6  # texts of about 120 words, cut at 48 tokens, keep 40 %


@pytest.mark.parametrize("file", ["training_file", "validation_file"])
def test_a_row_of_more_windows_than_are_read_is_named_before_training(
    bodies: TinyZoo, tmp_path: Path, file: str
) -> None:
    zoo = own(bodies, tmp_path)
    good, words = tagged_rows(30), tagged_rows(400, seed=5)
    long = {name: [part for row in words for part in row[name]] for name in ("tokens", "ner_tags")}
    files = {"training_file": upload(zoo, good), file: upload(zoo, [*good[:4], long, *good[4:]])}
    context = asked(zoo, **files)
    with pytest.raises(
        InvalidDataset, match=r"Row 5, line 5: The text has .* more than 64 windows of 46: split"
    ) as told:
        adapt.run(context, zoo.settings)
    assert told.value.param == file
    assert zoo.store.names() == ["mini"]


def test_a_graph_that_answers_otherwise_is_not_published(
    bodies: TinyZoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zoo = own(bodies, tmp_path)
    whole = lora.merged

    def doubled(wrapped: Any) -> Any:
        for layer in wrapped.modules():
            if isinstance(getattr(layer, "scaling", None), dict):
                layer.scaling = {name: 2 * value for name, value in layer.scaling.items()}
        return whole(wrapped)

    monkeypatch.setattr(lora, "merged", doubled)
    with pytest.raises(ParityFailed, match="largest difference"):
        adapt.run(asked(zoo, training_file=upload(zoo, tagged_rows(60))), zoo.settings)
    assert zoo.store.names() == ["mini"]
