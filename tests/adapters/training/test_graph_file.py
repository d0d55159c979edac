"""Graphs written piece by piece are the files that onnx would have written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir
import pytest
from onnx import TensorProto, helper, numpy_helper

from adapters.training import graph_file
from adapters.training.graph_file import write_graph
from zoo.engine.session import Session

WIDTH = 200  # a matrix of 160,000 bytes, more than what onnx writes itself


def graph() -> onnx.ModelProto:
    """``(x @ matrix + bias) @ half``, and two large tensors of other kinds that come along."""
    draw = np.random.default_rng(4)
    weights = {
        "matrix": draw.normal(size=(WIDTH, WIDTH)).astype(np.float32),
        "bias": draw.normal(size=WIDTH).astype(np.float32),
        "half": draw.normal(size=(WIDTH, WIDTH)).astype(np.float16),
        "places": draw.integers(0, 2**40, (300, 300)),
    }
    nodes = [
        helper.make_node("MatMul", ["x", "matrix"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["sum"]),
        helper.make_node("Cast", ["half"], ["wide"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["sum", "wide"], ["y"]),
        helper.make_node("Shape", ["places"], ["shape"]),
    ]
    ends = [
        helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", WIDTH]),
        helper.make_tensor_value_info("shape", TensorProto.INT64, [2]),
    ]
    made = helper.make_graph(
        nodes,
        "products",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", WIDTH])],
        ends,
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def answers(path: Path) -> list[np.ndarray[tuple[int, ...], np.dtype[np.generic]]]:
    x = np.random.default_rng(5).normal(size=(3, WIDTH)).astype(np.float32)
    return Session(path, threads=1).run({"x": x})


def test_the_file_holds_what_onnx_would_have_written(tmp_path: Path) -> None:
    write_graph(onnx_ir.from_proto(graph()), tmp_path / "model.onnx")
    written, expected = onnx.load(tmp_path / "model.onnx"), onnx_ir.to_proto(onnx_ir.from_proto(graph()))
    for model in (written, expected):
        model.graph.initializer.sort(key=lambda tensor: tensor.name)
    assert [tensor.name for tensor in written.graph.initializer] == ["bias", "half", "matrix", "places"]
    for one, other in zip(written.graph.initializer, expected.graph.initializer, strict=True):
        assert one.data_type == other.data_type
        np.testing.assert_array_equal(numpy_helper.to_array(one), numpy_helper.to_array(other))
    for field in ("node", "input", "output"):
        assert list(getattr(written.graph, field)) == list(getattr(expected.graph, field))
    onnx.checker.check_model(tmp_path / "model.onnx", full_check=True)


def test_the_file_runs_as_onnxs_own(tmp_path: Path) -> None:
    write_graph(onnx_ir.from_proto(graph()), tmp_path / "model.onnx")
    onnx.save(graph(), tmp_path / "own.onnx")
    for one, other in zip(answers(tmp_path / "model.onnx"), answers(tmp_path / "own.onnx"), strict=True):
        np.testing.assert_array_equal(one, other)


def test_weights_beyond_what_one_file_can_hold_stand_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, parted = tmp_path / "whole.onnx", tmp_path / "parted.onnx"
    write_graph(onnx_ir.from_proto(graph()), whole)
    monkeypatch.setattr(graph_file, "LARGEST", 200_000)
    write_graph(onnx_ir.from_proto(graph()), parted)
    assert (tmp_path / "parted.onnx.data").stat().st_size >= 300 * 300 * 8
    for one, other in zip(answers(parted), answers(whole), strict=True):
        np.testing.assert_array_equal(one, other)


def test_large_weights_are_given_back_once_they_are_written(tmp_path: Path) -> None:
    model = onnx_ir.from_proto(graph())
    values = dict(model.graph.initializers)
    write_graph(model, tmp_path / "model.onnx")
    assert [name for name, value in values.items() if value.const_value is not None] == ["bias"]
