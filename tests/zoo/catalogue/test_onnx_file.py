"""An ONNX file is read without being opened by any runtime; what could harm is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.tiny_graphs import one_node
from zoo.catalogue.onnx_file import INT64, Value, read_onnx
from zoo.errors import InvalidInput


def written(path: Path, model: onnx.ModelProto) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


def outside(location: str, **more: str) -> onnx.ModelProto:
    """A graph whose weights (2, 3) lie in another file."""
    model = one_node()
    weights = numpy_helper.from_array(np.zeros((2, 3), dtype=np.float32), "weights")
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **more}.items():
        weights.external_data.add(key=key, value=value)
    model.graph.initializer.append(weights)
    return model


def nested(depth: int) -> onnx.ModelProto:
    """Branches within branches."""
    model = one_node()
    graph = model.graph
    for _ in range(depth):
        node = helper.make_node("If", ["c"], ["o"], then_branch=graph, else_branch=one_node().graph)
        graph = helper.make_graph([node], "outer", [], [])
    model.graph.node.append(helper.make_node("If", ["c"], ["o"], then_branch=graph, else_branch=graph))
    return model


def with_function() -> onnx.ModelProto:
    model = one_node()
    node = helper.make_node("Identity", ["x"], ["y"])
    model.functions.append(helper.make_function("own", "F", ["x"], ["y"], [node], [helper.make_opsetid("", 20)]))
    return model


def inflated() -> onnx.ModelProto:
    model = one_node()
    model.graph.initializer.append(TensorProto(name="w", data_type=1, dims=[2**20, 2**20], raw_data=b"\0" * 64))
    return model


def in_a_branch() -> onnx.ModelProto:
    model = one_node()
    inner = one_node("Run", domain="org.evil").graph
    model.graph.node.append(helper.make_node("If", ["c"], ["o"], then_branch=inner, else_branch=inner))
    return model


def test_inputs_outputs_and_weights_are_read(tmp_path: Path) -> None:
    model = one_node()
    model.graph.initializer.append(numpy_helper.from_array(np.zeros((4, 5), dtype=np.float32), "weights"))
    found = read_onnx(written(tmp_path / "model.onnx", model))
    assert found.inputs == (Value("input_ids", INT64, (None, None)),)
    assert found.outputs == (Value("logits", 1, (None, 3)),)
    assert (found.outside, found.weights >= 80) == (frozenset(), True)


def test_weights_beside_the_graph_are_found(tmp_path: Path) -> None:
    (tmp_path / "model.onnx_data").write_bytes(b"\0" * 32)
    found = read_onnx(written(tmp_path / "model.onnx", outside("model.onnx_data", offset="8", length="24")))
    assert (found.outside, found.weights) == (frozenset({"model.onnx_data"}), 24)


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (lambda: one_node("Run", domain="org.evil"), "Run of org.evil"),
        (lambda: one_node("PyOp", domain="com.microsoft"), "PyOp of com.microsoft"),
        (in_a_branch, "Run of org.evil"),
        (with_function, "operators of its own"),
        (lambda: one_node("Loop"), "the operator Loop"),
        (lambda: one_node("Scan"), "the operator Scan"),
        (lambda: one_node("SequenceMap"), "the operator SequenceMap"),
        (lambda: nested(12), "nested"),
        (lambda: outside("../secret"), "does not lie beside it"),
        (lambda: outside("/etc/passwd"), "does not lie beside it"),
        (lambda: outside("data", offset="10", length="24"), "where data has none"),
        (lambda: outside("data", offset="-1"), "where data has none"),
    ],
)
def test_what_could_harm_is_refused(tmp_path: Path, make: Callable[[], onnx.ModelProto], fault: str) -> None:
    (tmp_path / "data").write_bytes(b"\0" * 24)
    with pytest.raises(InvalidInput, match="refused") as caught:
        read_onnx(written(tmp_path / "model.onnx", make()))
    assert (caught.value.code, fault in caught.value.message) == ("unsafe_graph", True), caught.value.message


def test_branches_are_read(tmp_path: Path) -> None:
    assert read_onnx(written(tmp_path / "model.onnx", nested(1))).outside == frozenset()


def test_a_file_of_weights_that_is_a_link_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"\0" * 24)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "data").symlink_to(tmp_path / "secret")
    with pytest.raises(InvalidInput, match="beside it") as caught:
        read_onnx(written(folder / "model.onnx", outside("data")))
    assert caught.value.code == "incomplete_graph"


@pytest.mark.parametrize(
    "content", [b"", b"\x80\x04pickle", b"PK\x03\x04 a zip", b"\x3a\xff\xff\xff\xff\x0f", b"\xff" * 40, b"\x3a\x00"]
)
def test_a_file_that_is_no_graph_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(InvalidInput, match=r"model\.onnx is no ONNX graph") as caught:
        read_onnx(tmp_path / "model.onnx")
    assert caught.value.code == "invalid_graph"


def test_a_tensor_larger_than_what_is_stored_of_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="larger than what is stored"):
        read_onnx(written(tmp_path / "model.onnx", inflated()))


def test_a_graph_that_is_cut_off_is_no_graph_wherever_it_is_cut(tmp_path: Path) -> None:
    whole = outside("data", offset="0").SerializeToString()
    (tmp_path / "data").write_bytes(b"\0" * 24)
    path = tmp_path / "model.onnx"
    for length in range(0, len(whole) - 1, 3):
        path.write_bytes(whole[:length])
        with pytest.raises(InvalidInput):
            read_onnx(path)
