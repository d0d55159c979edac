"""Convolutions in 8 bits: nearly the same answers, of no row because of another, by scales that rows have fixed."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from adapters.training import static_quantisation
from adapters.training.static_quantisation import is_convolutional, quantise_convolutions
from zoo.engine.session import Session

CLASSES, SIDE, BATCHES = 10, 16, 1000
Pictures = NDArray[np.float32]


def pictures(rows: int, *, seed: int) -> Pictures:
    """Coarse blobs, none of which is as bright as the next."""
    draw = np.random.default_rng(seed)
    coarse = draw.standard_normal((rows, 3, 4, 4)) * draw.uniform(0.5, 1.5, (rows, 1, 1, 1)) + 0.3
    return np.kron(coarse, np.ones((1, 1, SIDE // 4, SIDE // 4))).astype(np.float32)


def weight(draw: np.random.Generator, name: str, *shape: int) -> TensorProto:
    scale = 1.5 / np.sqrt(np.prod(shape[1:]))
    return numpy_helper.from_array((draw.standard_normal(shape) * scale).astype(np.float32), name)


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    """A convolution; twice one of each channel by itself and one of single points; classes: as mobile networks are."""
    draw, width = np.random.default_rng(3), 32
    tensors, nodes, given = [weight(draw, "stem", width, 3, 3, 3)], [], "pixels"
    nodes.append(helper.make_node("Conv", [given, "stem"], ["stem_out"], name="stem_conv", pads=[1, 1, 1, 1]))
    nodes.append(helper.make_node("Relu", ["stem_out"], ["block0"]))
    for block in range(2):
        tensors.append(weight(draw, f"deep{block}", width, 1, 3, 3))
        tensors.append(weight(draw, f"point{block}", width, width, 1, 1))
        tensors.append(weight(draw, f"bias{block}", width))
        about = {"pads": [1, 1, 1, 1], "group": width}
        nodes += [
            helper.make_node("Conv", [f"block{block}", f"deep{block}"], [f"d{block}"], name=f"deep{block}", **about),
            helper.make_node("Relu", [f"d{block}"], [f"e{block}"]),
            helper.make_node("Conv", [f"e{block}", f"point{block}", f"bias{block}"], [f"p{block}"], name=f"p{block}"),
            helper.make_node("Relu", [f"p{block}"], [f"block{block + 1}"]),
        ]
    tensors.append(weight(draw, "head", width, CLASSES))
    nodes += [
        helper.make_node("GlobalAveragePool", ["block2"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "head"], ["logits"], name="classes"),
    ]
    inputs = [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["batch", 3, SIDE, SIDE])]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", CLASSES])]
    made = helper.make_graph(nodes, "mobile", inputs, outputs, tensors)
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return path


def logits(path: Path, rows: Pictures) -> Pictures:
    return np.asarray(Session(path, threads=1).run({"pixels": rows})[0], dtype=np.float32)


def quantise(path: Path) -> None:
    known = pictures(64, seed=1)
    quantise_convolutions(path, [{"pixels": known[start : start + 16]} for start in range(0, 64, 16)])


def test_answers_are_nearly_those_of_float32(graph: Path) -> None:
    rows = pictures(40, seed=2)
    exact = logits(graph, rows)
    quantise(graph)
    rounded = logits(graph, rows)
    apart = np.linalg.norm(rounded - exact) / np.linalg.norm(exact)
    assert 0 < apart < 0.1


def test_the_ends_stay_exact_and_weights_have_seven_bits(graph: Path) -> None:
    quantise(graph)
    made = onnx.load(graph).graph
    tensors = {one.name: numpy_helper.to_array(one) for one in made.initializer}
    kept = {name for name, values in tensors.items() if values.dtype == np.float32 and values.ndim > 1}
    assert kept == {"stem", "head"}
    rounded = [values for values in tensors.values() if values.dtype == np.int8 and values.ndim == 4]
    assert len(rounded) == 4 and all(np.abs(values.astype(int)).max() == 64 for values in rounded)


def test_what_rounding_adds_on_average_is_taken_out(graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, plain = pictures(200, seed=5), graph.with_name("plain.onnx")
    plain.write_bytes(graph.read_bytes())
    exact = logits(graph, rows).mean(axis=0)
    quantise(graph)
    monkeypatch.setattr(static_quantisation, "_correct", lambda *_: None)
    quantise(plain)
    shifts = [float(np.abs(logits(path, rows).mean(axis=0) - exact).mean()) for path in (graph, plain)]
    assert shifts[0] < 0.5 * shifts[1]


def test_a_row_is_answered_alike_in_a_thousand_batches(graph: Path) -> None:
    quantise(graph)
    session, draw = Session(graph, threads=1), random.Random(0)
    outliers = [np.full((3, SIDE, SIDE), value, np.float32) for value in (-1e6, 0.0, 1e6)]
    rows = np.stack([*pictures(30, seed=7), *outliers])
    alone = np.concatenate([session.run({"pixels": row[None]})[0] for row in rows])
    for _ in range(BATCHES):
        places = draw.sample(range(len(rows)), k=draw.randint(2, 8))
        assert (session.run({"pixels": rows[places]})[0] == alone[places]).all()


def test_a_network_of_products_is_not_convolutional(graph: Path, tmp_path: Path) -> None:
    assert is_convolutional(graph)
    model = onnx.load(graph)
    draw = np.random.default_rng(0)
    for place in range(5):
        model.graph.initializer.append(weight(draw, f"matrix{place}", CLASSES, CLASSES))
        model.graph.node.append(helper.make_node("MatMul", ["logits", f"matrix{place}"], [f"further{place}"]))
    onnx.save(model, tmp_path / "mixed.onnx")
    assert not is_convolutional(tmp_path / "mixed.onnx")
