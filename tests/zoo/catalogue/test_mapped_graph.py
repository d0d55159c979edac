"""A graph whose weights are named by their place in its own file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from zoo.catalogue.mapped_graph import mapped_graph
from zoo.engine.session import Session

WEIGHT = np.arange(600, dtype=np.float32).reshape(1, 600)


def written(folder: Path, weight: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> Path:
    """``sum = x + weight``."""
    start = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", weight.shape[1]])
    end = helper.make_tensor_value_info("sum", TensorProto.FLOAT, ["rows", weight.shape[1]])
    nodes = [helper.make_node("Add", ["x", "weight"], ["sum"])]
    made = helper.make_graph(nodes, "plus", [start], [end], [numpy_helper.from_array(weight, "weight")])
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)])
    model.ir_version = 10
    onnx.save(model, folder / "model.onnx")
    return folder / "model.onnx"


def test_a_large_weight_is_named_by_its_place_in_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, WEIGHT)
    graph = mapped_graph(path)
    assert graph is not None and len(graph) < 400
    model = onnx.load_from_string(graph)
    onnx.load_external_data_for_model(model, str(tmp_path))
    (weight,) = model.graph.initializer
    np.testing.assert_array_equal(numpy_helper.to_array(weight), WEIGHT)
    assert model.graph.node[0].op_type == "Add"


def test_a_graph_of_small_weights_has_nothing_to_map(tmp_path: Path) -> None:
    assert mapped_graph(written(tmp_path, WEIGHT[:, :3])) is None


def test_it_answers_as_the_file_does_though_that_is_removed_meanwhile(tmp_path: Path) -> None:
    path = written(tmp_path, WEIGHT)
    session = Session(path, threads=1)
    path.unlink()
    (answer,) = session.run({"x": np.ones((2, 600), dtype=np.float32)})
    np.testing.assert_array_equal(answer, np.repeat(WEIGHT + 1, 2, axis=0))


def test_what_is_no_graph_is_said(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_text("This is no graph.")
    with pytest.raises(ValueError):
        mapped_graph(tmp_path / "model.onnx")
