"""A model whose graph fails on one token, put into the benchmark's home: what a poisoned row does to its batch."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer

from benchmarks.engine_model import NAME
from benchmarks.service import HOME
from zoo.catalogue.store import Store

POISONED = "minilm-poisoned"
WIDTH = 8


def poisoned() -> str:
    """Publish the model unless it is there; the word that its graph fails on.

    The graph looks tokens up in a table that lacks the last one, so that a run which holds it fails as a whole: no
    check of a text can foresee that.
    """
    store = Store(HOME)
    version = store.newest(NAME)
    assert version is not None
    source = store.folder(NAME, version)
    known = Tokenizer.from_file(str(source / "tokenizer.json")).get_vocab()
    words = {number: word for word, number in known.items() if word.isalpha() and word.isascii()}
    last = max(words)
    if store.newest(POISONED) is None:
        entry = store.entry(NAME, version)
        limits = {**entry.limits, "width": WIDTH}
        draft = entry.model_copy(update={"name": POISONED, "limits": limits, "lineage": {}})
        with store.staging() as place:
            staged = place / "version"
            staged.mkdir()
            shutil.copy(source / "tokenizer.json", staged)
            _write(staged / "model.onnx", last)
            store.publish(staged, draft)
    return words[last]


def _write(path: Path, rows: int) -> None:
    table = np.random.default_rng(0).normal(size=(rows, WIDTH)).astype(np.float32)
    names = ("input_ids", "attention_mask", "token_type_ids")
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["rows", "tokens"]) for name in names]
    output = helper.make_tensor_value_info("hidden", TensorProto.FLOAT, ["rows", "tokens", WIDTH])
    nodes = [
        helper.make_node("Add", ["attention_mask", "token_type_ids"], ["rest"]),
        helper.make_node("Mul", ["rest", "zero"], ["nothing"]),
        helper.make_node("Add", ["input_ids", "nothing"], ["ids"]),
        helper.make_node("Gather", ["table", "ids"], ["hidden"]),
    ]
    weights = [
        numpy_helper.from_array(table, "table"),
        numpy_helper.from_array(np.zeros((), dtype=np.int64), "zero"),
    ]
    graph = helper.make_graph(nodes, "poisoned", inputs, [output], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
