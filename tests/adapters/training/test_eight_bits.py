"""Versions with weights of 8 bits: published if held-out rows bear it and they are faster, else float32 and the reason.

What is faster depends on the processor, and of these few rows one is several points: the tests say what is enough.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from adapters.training import eight_bits
from tests.adapters.training.jobs import adapted, served
from tests.conftest import TinyZoo
from tests.tiny import rows
from zoo.catalogue.entry import ModelEntry

ROWS: list[dict[str, Any]] = [{"text": text, "label": label} for text, label in rows(90)]
ALWAYS, NEVER = 1e9, 0.0


def version(zoo: TinyZoo, name: str, **spec: Any) -> ModelEntry:
    entry, _ = adapted(zoo, ROWS, job=f"ftjob-{name}", suffix=name, **spec)
    return entry


def test_eight_bits_that_lose_nothing_and_are_faster_are_served(
    own_zoo: TinyZoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(eight_bits, "FASTER", ALWAYS)
    monkeypatch.setattr(eight_bits, "MOST_LOSS", 0.1)
    exact, coarse = version(own_zoo, "exact"), version(own_zoo, "coarse", precision="int8")
    assert (exact.precision, coarse.precision) == ("fp32", "int8")
    assert coarse.options["served_by"] == "merged" and "8 bits" in coarse.options["why"]
    figures = coarse.parity["int8"]
    assert figures["why_not"] is None and figures["loss"] <= figures["most_loss"] <= 0.1
    assert figures["rows"] == coarse.metrics["heldout"]["rows"]
    texts = [row["text"] for row in ROWS[:20]]
    rows_of = [np.asarray(served(own_zoo, entry).rows(texts), np.float32) for entry in (exact, coarse)]
    assert 0 < np.abs(rows_of[0] - rows_of[1]).max() < 0.1 * np.abs(rows_of[0]).max()


def test_eight_bits_that_are_not_faster_are_not_served(own_zoo: TinyZoo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eight_bits, "FASTER", NEVER)
    monkeypatch.setattr(eight_bits, "MOST_LOSS", 0.1)
    entry = version(own_zoo, "asked", precision="int8")
    assert entry.precision == "fp32" and entry.options["served_by"] == "body"
    assert "not faster" in entry.parity["int8"]["why_not"]
    names = {file.path for file in entry.files}
    assert "model.onnx" in names and not any(name.startswith("rounded") for name in names)


def test_eight_bits_that_may_lose_too_much_are_not_served(own_zoo: TinyZoo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eight_bits, "FASTER", ALWAYS)

    def ruin(path: Path) -> None:
        model = onnx.load(path)
        for tensor in model.graph.initializer:
            if len(tensor.dims) == 2:
                tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * 0, tensor.name))
        onnx.save(model, path)

    monkeypatch.setattr(eight_bits, "quantise", ruin)
    entry = version(own_zoo, "ruined", precision="int8")
    assert entry.precision == "fp32"
    assert "held-out rows may lose" in entry.parity["int8"]["why_not"]
    assert entry.parity["int8"]["loss"] > 0.3


def test_the_bound_is_above_the_loss_where_rows_differ() -> None:
    trial = eight_bits.Trial(rows=100, loss=0.0, most_loss=0.02, milliseconds=1.0, fp32_milliseconds=2.0)
    assert trial.why_not is not None and "2.00%" in trial.why_not
