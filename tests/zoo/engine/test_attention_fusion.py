"""Attention written as many nodes becomes one operator that answers the same; other forms are left as they are."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from zoo.engine.attention_fusion import OPERATOR, fused_attention
from zoo.engine.session import Session

AS_WRITTEN = "a graph runs with its attention as it was exported"
WIDTH, HEADS, SIZE = 8, 2, 4
Floats = NDArray[np.float32]


@dataclass
class Written:
    """A graph that is put together node by node; every value has the axes it is said to have."""

    nodes: list[Any] = field(default_factory=list)
    known: list[Any] = field(default_factory=list)
    weights: list[Any] = field(default_factory=list)

    def constant(self, name: str, value: Any, kind: Any = np.float32) -> str:
        self.weights.append(numpy_helper.from_array(np.asarray(value, dtype=kind), name))
        return name

    def node(self, kind: str, inputs: Sequence[str], output: str, axes: Sequence[Any] = (), **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        if axes:
            self.known.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, list(axes)))
        return output

    def linear(self, name: str, read: str, tokens: str = "tokens") -> str:
        """A projection with its bias."""
        draw = np.random.default_rng(len(self.weights))
        weight = self.constant(f"{name}.weight", draw.normal(size=(WIDTH, WIDTH)))
        bias = self.constant(f"{name}.bias", draw.normal(size=WIDTH))
        product = self.node("MatMul", [read, weight], f"{name}.product")
        return self.node("Add", [product, bias], name, ["rows", tokens, WIDTH])

    def heads(self, value: str, tokens: str = "tokens") -> str:
        """Split off the last axis and brought before the tokens."""
        shape = self.constant(f"{value}.shape", [0, 0, HEADS, SIZE], np.int64)
        split = self.node("Reshape", [value, shape], f"{value}.split", ["rows", tokens, HEADS, SIZE])
        return self.node("Transpose", [split], f"{value}.heads", ["rows", HEADS, tokens, SIZE], perm=[0, 2, 1, 3])

    def turned(self, value: str) -> str:
        """Heads of keys as the second factor, as torch's exporter writes it: with heads as rows between."""
        heads = self.heads(value)
        least, most = self.constant(f"{value}.minus", [-1], np.int64), self.constant(f"{value}.size", [SIZE], np.int64)
        axes = self.node("Shape", [heads], f"{value}.axes")
        tokens = self.slice(axes, f"{value}.tokens", 2, 3)
        flat_shape = self.node("Concat", [least, tokens, most], f"{value}.flat_shape", axis=0)
        flat = self.node("Reshape", [heads, flat_shape], f"{value}.flat", ["all", "tokens", SIZE])
        turned = self.node("Transpose", [flat], f"{value}.turned_flat", ["all", SIZE, "tokens"], perm=[0, 2, 1])
        first = self.slice(axes, f"{value}.first", 0, 2)
        shape = self.node("Concat", [first, most, tokens], f"{value}.turned_shape", axis=0)
        return self.node("Reshape", [turned, shape], f"{value}.turned", ["rows", HEADS, SIZE, "tokens"])

    def slice(self, value: str, name: str, low: int, high: int) -> str:
        """A part of a list of numbers."""
        ends = [self.constant(f"{name}.{end}", [at], np.int64) for end, at in (("low", low), ("high", high))]
        return self.node("Slice", [value, *ends], name)

    def scaled(self, value: str, factor: float, axes: Sequence[Any], kind: str = "Mul") -> str:
        return self.node(kind, [value, self.constant(f"{value}.factor", factor)], f"{value}.scaled", axes)

    def joined(self, weighted: str, output: str, tokens: str = "tokens") -> str:
        """Heads side by side again."""
        back = self.node("Transpose", [weighted], f"{weighted}.back", ["rows", tokens, HEADS, SIZE], perm=[0, 2, 1, 3])
        shape = self.constant(f"{output}.shape", [0, 0, WIDTH], np.int64)
        return self.node("Reshape", [back, shape], output, ["rows", tokens, WIDTH])

    def model(self, inputs: dict[str, Sequence[Any]], opset: int = 20) -> bytes:
        """Answers with ``y``."""
        start = [helper.make_tensor_value_info(name, TensorProto.FLOAT, list(axes)) for name, axes in inputs.items()]
        end = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
        graph = helper.make_graph(self.nodes, "attention", start, end, self.weights, value_info=self.known)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
        model.ir_version = 10
        encoded: bytes = model.SerializeToString()
        return encoded


X: dict[str, Sequence[Any]] = {"x": ["rows", "tokens", WIDTH]}
SCORES = ["rows", HEADS, "tokens", "tokens"]


def plain() -> bytes:
    """Scores divided, nothing added."""
    w = Written()
    queries, keys, values = (w.linear(name, "x") for name in ("q", "k", "v"))
    split = w.constant("keys.shape", [0, 0, HEADS, SIZE], np.int64)
    four = w.node("Reshape", [keys, split], "keys.split", ["rows", "tokens", HEADS, SIZE])
    turned = w.node("Transpose", [four], "keys.turned", ["rows", HEADS, SIZE, "tokens"], perm=[0, 2, 3, 1])
    product = w.node("MatMul", [w.heads(queries), turned], "scores", SCORES)
    weights = w.node("Softmax", [w.scaled(product, 2.0, SCORES, "Div")], "weights", SCORES, axis=-1)
    w.joined(w.node("MatMul", [weights, w.heads(values)], "weighted"), "y")
    return w.model(X)


def masked(axes: Sequence[Any] = ("rows", 1, 1, "tokens")) -> bytes:
    """As torch exports its fused function: both factors scaled, a mask added, guarded against rows without numbers."""
    w = Written()
    queries, keys, values = (w.linear(name, "x") for name in ("q", "k", "v"))
    left = w.scaled(w.heads(queries), 0.70710678, ["rows", HEADS, "tokens", SIZE])
    right = w.scaled(w.turned(keys), 0.70710678, ["rows", HEADS, SIZE, "tokens"])
    product = w.node("MatMul", [left, right], "scores", SCORES)
    w.known.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, list(axes)))
    added = w.node("Add", [product, "mask"], "masked", SCORES)
    weights = w.node("Softmax", [added], "weights", SCORES, axis=-1)
    missing = w.node("IsNaN", [weights], "missing")
    guarded = w.node("Where", [missing, w.constant("zero", 0.0), weights], "guarded", SCORES)
    w.joined(w.node("MatMul", [guarded, w.heads(values)], "weighted"), "y")
    return w.model({**X, "mask": axes})


def two_biases() -> bytes:
    """Relative positions, then a mask, as MPNet and T5 have them; queries scaled before they are split."""
    w = Written()
    queries, keys, values = (w.linear(name, "x") for name in ("q", "k", "v"))
    scaled = w.scaled(queries, 0.5, ["rows", "tokens", WIDTH])
    product = w.node("MatMul", [w.heads(scaled), w.turned(keys)], "scores", SCORES)
    moved = w.node("Add", ["places", product], "moved", SCORES)
    weights = w.node("Softmax", [w.node("Add", [moved, "mask"], "masked", SCORES)], "weights", SCORES, axis=-1)
    w.joined(w.node("MatMul", [weights, w.heads(values)], "weighted"), "y")
    return w.model({**X, "places": [1, HEADS, "tokens", "tokens"], "mask": ["rows", 1, 1, "tokens"]})


def across() -> bytes:
    """Attention over ``x`` by itself, then by fewer vectors of ``z``, behind one mask."""
    w = Written()
    queries, keys, values = (w.linear(name, "x") for name in ("q", "k", "v"))
    product = w.node("MatMul", [w.heads(queries), w.turned(keys)], "scores", SCORES)
    weights = w.node("Softmax", [w.node("Add", [product, "mask"], "masked", SCORES)], "weights", SCORES, axis=-1)
    seen = w.joined(w.node("MatMul", [weights, w.heads(values)], "weighted"), "seen")
    own, others, told = w.linear("q2", "z", "places"), w.linear("k2", seen), w.linear("v2", seen)
    scores = ["rows", HEADS, "places", "tokens"]
    product = w.node("MatMul", [w.heads(own, "places"), w.turned(others)], "scores2", scores)
    weights = w.node("Softmax", [w.node("Add", [product, "mask"], "masked2", scores)], "weights2", scores, axis=-1)
    w.joined(w.node("MatMul", [weights, w.heads(told)], "weighted2"), "y", "places")
    return w.model({**X, "z": ["rows", "places", WIDTH], "mask": ["rows", 1, 1, "tokens"]})


def values_of(rows: int, tokens: int) -> dict[str, Floats]:
    """Inputs of all the graphs; the second row's last token may not be looked at."""
    draw = np.random.default_rng(rows * tokens)
    mask = np.zeros((rows, 1, 1, tokens), dtype=np.float32)
    if rows > 1 and tokens > 1:
        mask[1, ..., -1] = -np.inf
    return {
        "x": draw.normal(size=(rows, tokens, WIDTH)).astype(np.float32),
        "z": draw.normal(size=(rows, 2, WIDTH)).astype(np.float32),
        "mask": mask,
        "places": draw.normal(size=(1, HEADS, tokens, tokens)).astype(np.float32),
    }


def operators(model: bytes) -> Counter[str]:
    return Counter(node.op_type for node in onnx.load_from_string(model).graph.node)


def answered(folder: Path, model: bytes, feeds: dict[str, Floats]) -> Any:
    (folder / "model.onnx").write_bytes(model)
    return Session(folder / "model.onnx", threads=1).run(feeds)[0]


def expected(model: bytes, feeds: dict[str, Floats]) -> Any:
    """By ONNX's own reference implementation."""
    evaluator = ReferenceEvaluator(onnx.load_from_string(model))
    inputs = {name: feeds[name] for name in evaluator.input_names}
    return evaluator.run(None, inputs)[0]


@pytest.mark.parametrize(("write", "count"), [(plain, 1), (masked, 1), (two_biases, 1), (across, 2)])
@pytest.mark.parametrize(("rows", "tokens"), [(1, 1), (2, 5), (3, 17)])
def test_fused_attention_answers_as_the_nodes_did(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    write: Callable[[], bytes],
    count: int,
    rows: int,
    tokens: int,
) -> None:
    caplog.set_level(logging.INFO)
    model, feeds = write(), values_of(rows, tokens)
    fused = fused_attention(model)
    assert fused is not None
    assert operators(fused)[OPERATOR] == count
    assert "Softmax" not in operators(fused)
    np.testing.assert_allclose(answered(tmp_path, model, feeds), expected(model, feeds), atol=1e-4)
    assert AS_WRITTEN not in caplog.messages


def test_a_mask_for_each_token_is_taken_too(tmp_path: Path) -> None:
    model, feeds = masked(("rows", 1, "tokens", "tokens")), values_of(2, 5)
    feeds["mask"] = np.repeat(feeds["mask"], 5, axis=2)
    assert operators(fused_attention(model) or b"")[OPERATOR] == 1
    np.testing.assert_allclose(answered(tmp_path, model, feeds), expected(model, feeds), atol=1e-4)


def edited(model: bytes, edit: Callable[[Any], None]) -> bytes:
    loaded = onnx.load_from_string(model)
    edit(loaded.graph)
    encoded: bytes = loaded.SerializeToString()
    return encoded


def forget_axes(graph: Any) -> None:
    del graph.value_info[:]


def other_axis(graph: Any) -> None:
    next(node for node in graph.node if node.op_type == "Softmax").attribute[0].i = 1


def other_heads(graph: Any) -> None:
    (shape,) = (one for one in graph.initializer if one.name == "v.shape")
    shape.CopyFrom(numpy_helper.from_array(np.array([0, 0, 4, 2]), "v.shape"))


def flat_mask(graph: Any) -> None:
    (known,) = (one for one in graph.input if one.name == "mask")
    known.CopyFrom(helper.make_tensor_value_info("mask", TensorProto.FLOAT, ["tokens", "tokens"]))
    for one in [one for one in graph.value_info if one.name == "mask"]:
        graph.value_info.remove(one)


@pytest.mark.parametrize(
    ("write", "edit"),
    [(plain, forget_axes), (plain, other_axis), (plain, other_heads), (masked, flat_mask)],
    ids=["axes not told", "another axis", "heads of another size", "a mask of two axes"],
)
def test_attention_of_another_form_stays(write: Callable[[], bytes], edit: Callable[[Any], None]) -> None:
    assert fused_attention(edited(write(), edit)) is None


def test_weights_that_are_answered_too_are_still_made(tmp_path: Path) -> None:
    def tell(graph: Any) -> None:
        graph.output.append(helper.make_tensor_value_info("weights", TensorProto.FLOAT, None))

    model, feeds = edited(plain(), tell), values_of(2, 5)
    (tmp_path / "model.onnx").write_bytes(model)
    y, weights = (values.astype(np.float64) for values in Session(tmp_path / "model.onnx", threads=1).run(feeds))
    np.testing.assert_allclose(y, expected(model, feeds), atol=1e-4)
    np.testing.assert_allclose(weights.sum(axis=-1), 1.0, atol=1e-5)


def test_a_graph_that_the_operator_does_not_fit_runs_as_it_was_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    model = masked()
    loaded = onnx.load_from_string(model)
    loaded.opset_import[0].version = 13  # in which Shape has no places to begin and end at
    np.testing.assert_allclose(
        answered(tmp_path, loaded.SerializeToString(), values_of(2, 5)), expected(model, values_of(2, 5)), atol=1e-4
    )
    assert AS_WRITTEN in caplog.messages


def test_what_is_no_model_is_said() -> None:
    with pytest.raises(ValueError):
        fused_attention(b"This is no graph.")
