"""Graphs that are not what they should be are refused with a reason, whatever they do to who opens them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.adapters.ready_made.imports import run
from tests.conftest import TinyZoo
from tests.tiny_graphs import one_node, settings_of, write_classifier, write_encoder
from zoo.catalogue.store import Store
from zoo.engine import trial
from zoo.errors import ZooError


@pytest.fixture
def folder(tiny_zoo: TinyZoo, tmp_path: Path) -> Path:
    """A classifier as it should be."""
    return write_classifier(tmp_path / "folder", tiny_zoo)


def refused(home: Path, folder: Path) -> ZooError:
    """The error of the import, after which nothing is there."""
    with pytest.raises(ZooError) as caught:
        run(home, folder)
    assert Store(home).names() == []
    return caught.value


def replaced(folder: Path, graph: onnx.ModelProto) -> Path:
    onnx.save(graph, folder / "onnx" / "model.onnx")
    return folder


def unmasked(folder: Path) -> None:
    """A graph that pays no heed to what is filling."""
    graph = onnx.load(folder / "onnx" / "model.onnx")
    ones = [
        helper.make_node("Shape", ["input_ids"], ["mask.shape"]),
        helper.make_node(
            "ConstantOfShape", ["mask.shape"], ["mask.ones"], value=numpy_helper.from_array(np.array([1]))
        ),
    ]
    for node in graph.graph.node:
        node.input[:] = ["mask.ones" if name == "attention_mask" else name for name in node.input]
    nodes = [*ones, *graph.graph.node]
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)
    replaced(folder, graph)


def without_letters(folder: Path) -> None:
    """A tokenizer that the library tokenizers panics at, as transformers.js writes those of Marian."""
    settings = json.loads((folder / "tokenizer.json").read_text())
    settings["normalizer"] = {"type": "Precompiled", "precompiled_charsmap": None}
    (folder / "tokenizer.json").write_text(json.dumps(settings))


def endless(folder: Path) -> None:
    """A few bytes that ask for a petabyte."""
    graph = one_node()
    shape = numpy_helper.from_array(np.array([2**40, 3]), "shape")
    made = helper.make_node(
        "ConstantOfShape", ["shape"], ["logits"], value=helper.make_tensor("v", TensorProto.FLOAT, [1], [0.0])
    )
    del graph.graph.node[:]
    graph.graph.node.append(made)
    graph.graph.initializer.append(shape)
    replaced(folder, graph)


@pytest.mark.parametrize(
    ("spoil", "code", "fault"),
    [
        (lambda folder: replaced(folder, one_node("Run", domain="org.evil")), "unsafe_graph", "Run of org.evil"),
        (
            lambda folder: (folder / "onnx" / "model.onnx").write_bytes(b"\x80\x04pickle"),
            "invalid_graph",
            "no ONNX graph",
        ),
        (lambda folder: settings_of(folder, id2label={"0": "a", "1": "b"}), "unsupported_graph", "names 2 classes"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "invalid_checkpoint", "tokenizer.json"),
        (lambda folder: settings_of(folder, pad_token_id=[1]), "invalid_checkpoint", "settings"),
        (without_letters, "invalid_graph", "tokenizer.json cannot be read"),
        (unmasked, "invalid_graph", "ignores its mask"),
        (endless, "unsafe_graph", "memory"),
    ],
)
def test_a_graph_that_cannot_be_served_is_refused_with_the_reason(
    folder: Path, tmp_path: Path, spoil: Callable[[Path], object], code: str, fault: str
) -> None:
    spoil(folder)
    error = refused(tmp_path / "home", folder)
    assert (error.code, fault in error.message) == (code, True), error.message


def test_a_crash_of_the_runtime_ends_its_own_process_alone(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "PROGRAM", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    error = refused(tmp_path / "home", folder)
    assert (error.code, error.param) == ("unsafe_graph", "source")
    assert "signal 11" in error.message


def test_a_graph_of_another_task_is_not_taken_for_this_one(tiny_zoo: TinyZoo, tmp_path: Path) -> None:
    folder = write_encoder(tmp_path / "folder", tiny_zoo)
    (folder / "modules.json").unlink()
    settings_of(folder, architectures=["BertForQuestionAnswering"])
    error = refused(tmp_path / "home", folder)
    assert (error.code, "start_logits" in error.message) == ("unsupported_graph", True)
