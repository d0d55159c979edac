"""A graph on disk, loaded and run; the graphs are written by the tests."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from zoo.engine.session import Session
from zoo.errors import ArtifactCorrupt


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    """``scaled = x * weight`` and ``shifted = x * weight + bias``, with weight 2 and bias 1."""
    constants = [
        numpy_helper.from_array(np.array([2.0, 2.0], dtype=np.float32), "weight"),
        numpy_helper.from_array(np.array([1.0, 1.0], dtype=np.float32), "bias"),
    ]
    nodes = [
        helper.make_node("Mul", ["x", "weight"], ["scaled"]),
        helper.make_node("Add", ["scaled", "bias"], ["shifted"]),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", 2]) for name in ("scaled", "shifted")]
    start = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", 2])
    model = helper.make_model(
        helper.make_graph(nodes, "line", [start], ends, constants), opset_imports=[helper.make_opsetid("", 20)]
    )
    model.ir_version = 10
    onnx.save(model, tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


X = np.array([[1.0, 3.0]], dtype=np.float32)


def test_all_outputs_are_answered_in_the_order_of_the_graph(graph: Path) -> None:
    session = Session(graph, threads=1)
    assert session.inputs == ("x",)
    assert session.outputs == ("scaled", "shifted")
    scaled, shifted = session.run({"x": X})
    assert (scaled.tolist(), shifted.tolist()) == ([[2.0, 6.0]], [[3.0, 7.0]])


def test_one_output_can_be_chosen(graph: Path) -> None:
    (shifted,) = Session(graph, threads=1).run({"x": X}, ["shifted"])
    assert shifted.tolist() == [[3.0, 7.0]]


def test_an_input_that_the_graph_lacks_is_left_out(graph: Path) -> None:
    scaled, _ = Session(graph, threads=1).run({"x": X, "token_type_ids": X})
    assert scaled.tolist() == [[2.0, 6.0]]


def test_many_threads_get_the_answers_to_their_own_rows(graph: Path) -> None:
    session = Session(graph, threads=1)

    def doubled(number: int) -> float:
        row = np.full((1, 2), number, dtype=np.float32)
        return float(np.asarray(session.run({"x": row})[0])[0, 0])

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(doubled, range(200))) == [2.0 * number for number in range(200)]


@pytest.mark.parametrize("damage", ["truncated", "text", "missing"])
def test_what_is_no_graph_is_named_without_its_place_on_disk(graph: Path, damage: str) -> None:
    if damage == "truncated":
        graph.write_bytes(graph.read_bytes()[:40])
    elif damage == "text":
        graph.write_text("This is no graph.")
    else:
        graph.unlink()
    with pytest.raises(ArtifactCorrupt, match=r"^model\.onnx is not a graph") as caught:
        Session(graph, threads=1)
    assert str(graph.parent) not in caught.value.message
