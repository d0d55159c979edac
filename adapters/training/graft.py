"""The body's own graph with adapted weights and a new head: the merged model without tracing it again.

The body was exported and compared with torch when it was imported; adapting changes some of its matrices and adds a
linear head on pooled or on single tokens. Putting those into a copy of its graph takes 1 s, a new export 6 s (MiniLM);
the gate judges both.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from adapters.training.quantised import QUANTISED

Change = tuple[Tensor, Tensor]
"""A weight, (out, in) or (out, in, height, width), as it was and as it shall be."""


def changed(sources: Sequence[Path], changes: Sequence[Change]) -> list[onnx.ModelProto] | None:
    """The graphs of a version with every change made, or None where a weight is not found in them exactly once.

    None too where there is no such graph, or where one is quantised. Weights are found by their values, as they are or
    transposed: the exporter renames and folds, but does not round.
    """
    if not all(source.is_file() for source in sources):
        return None
    models = [onnx.load(source) for source in sources]
    if any(node.op_type == QUANTISED for model in models for node in model.graph.node):
        return None
    known: dict[bytes, list[TensorProto]] = {}
    for model in models:
        for tensor in model.graph.initializer:
            if len(tensor.dims) in (2, 4):
                known.setdefault(_key(numpy_helper.to_array(tensor)), []).append(tensor)
    for before, after in changes:
        for turn in (False, True) if before.ndim == 2 else (False,):
            old, new = (_array(weight.T if turn else weight) for weight in (before, after))
            found = known.get(_key(old), [])
            if found:
                break
        if len(found) != 1:
            return None
        found[0].CopyFrom(numpy_helper.from_array(new, found[0].name))
    return models


def add_pooled_head(model: onnx.ModelProto, head: nn.Linear, *, hidden: str, pooling: str) -> bool:
    """Answer ``logits`` (batch, labels) instead of ``hidden`` (batch, tokens, width): pool, unit length, linear layer.

    ``pooling`` is ``mean``, ``cls`` or ``max`` over the tokens of ``attention_mask``. False, and nothing done, where
    the graph has no such output or input.
    """
    graph = model.graph
    if [value.name for value in graph.output] != [hidden]:
        return False
    if "attention_mask" not in [value.name for value in graph.input]:
        return False
    constants = {
        "head.weight": _array(head.weight),
        "head.bias": _array(head.bias),
        "head.tokens": np.array([1], dtype=np.int64),
        "head.last": np.array([2], dtype=np.int64),
        "head.first": np.array(0, dtype=np.int64),
        "head.tiny": np.array(1e-9, dtype=np.float32),
        "head.least": np.array(1e-12, dtype=np.float32),
        "head.lowest": np.array(np.finfo(np.float32).min, dtype=np.float32),
        "head.zero": np.array(0, dtype=np.float32),
    }
    nodes = [
        *_pool(hidden, pooling),
        helper.make_node("ReduceL2", ["head.pooled", "head.tokens"], ["head.norm"], keepdims=1),
        helper.make_node("Clip", ["head.norm", "head.least"], ["head.length"]),
        helper.make_node("Div", ["head.pooled", "head.length"], ["head.unit"]),
        helper.make_node("Gemm", ["head.unit", "head.weight", "head.bias"], ["logits"], transB=1),
    ]
    used = {name for node in nodes for name in node.input}
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items() if name in used)
    graph.node.extend(nodes)
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", head.out_features]))
    return True


def add_token_head(model: onnx.ModelProto, head: nn.Linear, *, hidden: str) -> bool:
    """Answer ``logits`` (batch, tokens, numbers) instead of ``hidden`` (batch, tokens, width): one linear layer.

    False, and nothing done, where the graph has no such output.
    """
    graph = model.graph
    if [value.name for value in graph.output] != [hidden]:
        return False
    constants = {"head.weight": _array(head.weight.T), "head.bias": _array(head.bias)}
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    graph.node.extend(
        [
            helper.make_node("MatMul", [hidden, "head.weight"], ["head.product"]),
            helper.make_node("Add", ["head.product", "head.bias"], ["logits"]),
        ]
    )
    del graph.output[:]
    shape = ["batch", "length", head.out_features]
    graph.output.append(helper.make_tensor_value_info("logits", TensorProto.FLOAT, shape))
    return True


def _pool(hidden: str, pooling: str) -> list[onnx.NodeProto]:
    """Nodes from token vectors to ``head.pooled`` (batch, width)."""
    if pooling == "cls":
        return [helper.make_node("Gather", [hidden, "head.first"], ["head.pooled"], axis=1)]
    weights = [
        helper.make_node("Cast", ["attention_mask"], ["head.mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["head.mask", "head.last"], ["head.weights"]),
    ]
    if pooling == "max":
        return [
            *weights,
            helper.make_node("Equal", ["head.weights", "head.zero"], ["head.padding"]),
            helper.make_node("Where", ["head.padding", "head.lowest", hidden], ["head.real"]),
            helper.make_node("ReduceMax", ["head.real", "head.tokens"], ["head.pooled"], keepdims=0),
        ]
    return [
        *weights,
        helper.make_node("Mul", [hidden, "head.weights"], ["head.weighted"]),
        helper.make_node("ReduceSum", ["head.weighted", "head.tokens"], ["head.sum"], keepdims=0),
        helper.make_node("ReduceSum", ["head.weights", "head.tokens"], ["head.count"], keepdims=0),
        helper.make_node("Clip", ["head.count", "head.tiny"], ["head.tokens_in"]),
        helper.make_node("Div", ["head.sum", "head.tokens_in"], ["head.pooled"]),
    ]


def _array(weight: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.ascontiguousarray(weight.detach().float().numpy())


def _key(values: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> bytes:
    return repr(values.shape).encode() + hashlib.sha256(values.tobytes()).digest()
