"""A model version for sounds: a graph that weighs the mean of each mel bin over the time that is heard."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from zoo.catalogue.entry import ModelEntry
from zoo.engine.predictor import Predictor
from zoo.tasks.processors.hearing import Hearing

BINS = 4


def predictor(
    folder: Path, weights: Sequence[Sequence[float]], *, masked: bool = True, hearing: Any = None, **fields: Any
) -> Predictor:
    """``weights``: for each label what the mean of each of ``BINS`` bins, lowest first, counts for it."""
    hearing = {**Hearing("log_mel", seconds=30, bins=BINS).as_dict(), **(hearing or {})}
    sound = helper.make_tensor_value_info("sound", TensorProto.FLOAT, ["batch", "frames", BINS])
    heard = helper.make_tensor_value_info("heard", TensorProto.INT64, ["batch", "frames"])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", len(weights)])
    constants = [
        numpy_helper.from_array(np.array(weights, dtype=np.float32).T, "weights"),
        numpy_helper.from_array(np.array([1], dtype=np.int64), "time"),
        numpy_helper.from_array(np.array([2], dtype=np.int64), "last"),
    ]
    if masked:
        nodes = [
            helper.make_node("Cast", ["heard"], ["mask"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["mask", "last"], ["wide"]),
            helper.make_node("Mul", ["sound", "wide"], ["kept"]),
            helper.make_node("ReduceSum", ["kept", "time"], ["sum"], keepdims=0),
            helper.make_node("ReduceSum", ["mask", "time"], ["count"], keepdims=1),
            helper.make_node("Div", ["sum", "count"], ["mean"]),
        ]
    else:
        nodes = [helper.make_node("ReduceMean", ["sound", "time"], ["mean"], keepdims=0)]
    nodes.append(helper.make_node("MatMul", ["mean", "weights"], ["logits"]))
    graph = helper.make_graph(nodes, "bins", [sound, heard] if masked else [sound], [logits], constants)
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), folder / "model.onnx"
    )
    entry = ModelEntry(
        name="bins",
        version=1,
        task="audio-classification",
        modality="audio",
        architecture="bins",
        licence="Apache-2.0",
        created=0,
        options={"hearing": hearing, "masked": masked, **fields.pop("options", {})},
        **fields,
    )
    return Predictor(entry, folder, threads=1)
