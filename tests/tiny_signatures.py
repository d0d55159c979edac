"""Classifiers that say which version they are: a constant answer to every text. No torch, no weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from zoo.catalogue.entry import ModelEntry
from zoo.catalogue.store import Store


def publish_signature(
    store: Store, name: str, labels: Sequence[str], *, logits: Sequence[float] = (), whole: bool = True
) -> ModelEntry:
    """A version that answers every text with ``labels``, by ``logits``: falling ones unless given.

    ``whole=False``: one whose graph no runtime can load, though its files are as they were published.
    """
    draft = ModelEntry(
        name=name,
        version=1,
        task="text-classification",
        modality="text",
        architecture="constant",
        licence="apache-2.0",
        created=1_700_000_000,
        labels=tuple(labels),
        limits={"max_tokens": 64},
    )
    with store.staging() as staged:
        _write_tokenizer(staged / "tokenizer.json")
        if whole:
            falling = logits or [4.0 - place for place in range(len(labels))]
            onnx.save(_constant(np.array([falling], dtype=np.float32)), staged / "model.onnx")
        else:
            (staged / "model.onnx").write_bytes(b"no graph")
        return store.publish(staged, draft)


def _write_tokenizer(path: Path) -> None:
    made = Tokenizer(WordLevel({"[PAD]": 0, "[UNK]": 1}, unk_token="[UNK]"))
    made.pre_tokenizer = Whitespace()
    made.save(str(path))


def _constant(row: np.ndarray[tuple[int, int], np.dtype[np.float32]]) -> onnx.ModelProto:
    """``input_ids`` (batch, tokens) to ``logits`` (batch, labels): for each text the same row."""
    nodes = [
        helper.make_node("Cast", ["input_ids"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMax", ["numbers", "axes"], ["longest"], keepdims=1),
        helper.make_node("MatMul", ["longest", "nothing"], ["zeros"]),
        helper.make_node("Add", ["zeros", "row"], ["logits"]),
    ]
    given = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "tokens"])
    answer = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", row.shape[1]])
    constants = [
        numpy_helper.from_array(np.array([1], dtype=np.int64), "axes"),
        numpy_helper.from_array(np.zeros_like(row), "nothing"),
        numpy_helper.from_array(row, "row"),
    ]
    graph = helper.make_graph(nodes, "constant", [given], [answer], initializer=constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
