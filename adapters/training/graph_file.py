"""A graph from the exporter onto the disk, its weights written from where they lie and given back after that.

onnx holds two more copies of all weights while it writes: its own message and that message as bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np
import onnx_ir
from onnx import TensorProto

SMALL = 64 * 1024  # bytes; smaller tensors, and texts with them, are written by onnx
LARGEST = 2**31 - 2**20  # bytes; protocol buffers end at 2 GiB
_GRAPH, _INITIALIZER, _RAW_DATA = (number << 3 | 2 for number in (7, 5, 9))  # the fields of onnx.proto, of known length


def write_graph(model: onnx_ir.Model, target: Path) -> None:
    """Write ``target``, one file unless the weights pass 2 GiB; ``model`` has no large weights afterwards."""
    values = [value for value in model.graph.initializers.values() if _is_large(value.const_value)]
    weights = [(value.name or "", value.const_value) for value in values if value.const_value is not None]
    if sum(tensor.nbytes for _, tensor in weights) > LARGEST:
        onnx_ir.save(model, target, external_data=f"{target.name}.data")
    else:
        for name, _ in weights:
            model.graph.initializers.pop(name)
        with target.open("wb") as file:
            _write(model, weights, file)
    for value in values:
        value.const_value = None  # the exporter's rewrite rules keep the last graph that they saw


def _is_large(tensor: onnx_ir.TensorProtocol | None) -> bool:
    return tensor is not None and tensor.dtype != onnx_ir.DataType.STRING and tensor.nbytes >= SMALL


def _write(model: onnx_ir.Model, weights: list[tuple[str, onnx_ir.TensorProtocol]], file: BinaryIO) -> None:
    """The message field by field; those of a repeated field, as the initializers are, may stand anywhere in it."""
    message = onnx_ir.to_proto(model)
    graph = message.graph.SerializeToString()
    message.ClearField("graph")
    heads = [_head(name, tensor) for name, tensor in weights]
    length = sum(len(head) + tensor.nbytes for head, (_, tensor) in zip(heads, weights, strict=True))
    file.write(message.SerializeToString() + _field(_GRAPH, len(graph) + length) + graph)
    for head, (_, tensor) in zip(heads, weights, strict=True):
        file.write(head)
        file.write(np.ascontiguousarray(tensor.numpy()).reshape(-1).view(np.uint8).data)  # without a copy of its own


def _head(name: str, tensor: onnx_ir.TensorProtocol) -> bytes:
    """What stands before the bytes of one initializer."""
    about: bytes = TensorProto(name=name, data_type=tensor.dtype.value, dims=tensor.shape.numpy()).SerializeToString()
    about += _field(_RAW_DATA, tensor.nbytes)
    return _field(_INITIALIZER, len(about) + tensor.nbytes) + about


def _field(key: int, length: int) -> bytes:
    """A field's key and length, seven bits a byte, the lowest first."""
    made = bytearray([key])
    while length > 127:
        made.append(length & 127 | 128)
        length >>= 7
    made.append(length)
    return bytes(made)
