"""A model version for picture tasks: one graph that weighs the mean of each colour."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from zoo.catalogue.entry import ModelEntry
from zoo.engine.predictor import Predictor


def predictor(folder: Path, task: str, weights: Sequence[Sequence[float]], **fields: Any) -> Predictor:
    """``weights``: for each output what mean red, green and blue (0 to 1) count for it."""
    pixels = helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, ["batch", 3, "height", "width"])
    answer = helper.make_tensor_value_info("answer", TensorProto.FLOAT, ["batch", len(weights)])
    matrix = numpy_helper.from_array(np.array(weights, dtype=np.float32).T, "weights")
    nodes = [
        helper.make_node("GlobalAveragePool", ["pixel_values"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["answer"]),
    ]
    graph = helper.make_graph(nodes, "colours", [pixels], [answer], [matrix])
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), folder / "model.onnx"
    )
    return Predictor(_entry(task, **fields), folder, threads=1)


def _entry(task: str, **fields: Any) -> ModelEntry:
    options = {"preprocessing": {"resize": {"mode": "exact", "height": 8, "width": 8}}, **fields.pop("options", {})}
    return ModelEntry(
        name="colours",
        version=1,
        task=task,
        modality="image",
        architecture="colours",
        licence="Apache-2.0",
        created=0,
        options=options,
        **fields,
    )


def picture(colour: tuple[int, int, int], size: tuple[int, int] = (20, 10)) -> bytes:
    """A PNG of one colour; ``size`` is (width, height)."""
    stream = BytesIO()
    Image.new("RGB", size, colour).save(stream, "PNG")
    return stream.getvalue()
