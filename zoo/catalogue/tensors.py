"""Safetensors files as numpy arrays; the header is read and checked before anything trusts the file."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

FloatArray = NDArray[np.float32]
MAX_HEADER_BYTES = 16 * 1024 * 1024
MAX_TENSORS = 100_000
_WIDTHS = {
    **dict.fromkeys(("F64", "I64", "U64"), 8),
    **dict.fromkeys(("F32", "I32", "U32"), 4),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 2),
    **dict.fromkeys(("I8", "U8", "BOOL", "F8_E4M3", "F8_E5M2"), 1),
}
_FLOATS = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}


@dataclass(frozen=True)
class TensorInfo:
    """What the header says of one tensor; ``start`` is its first byte in the file."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    size: int


def read_header(path: Path) -> dict[str, TensorInfo]:
    """Tensors of a file by name; ``ValueError`` for another format, doubled names, or sizes that disagree."""
    total = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(MAX_HEADER_BYTES, total - 8):
            raise ValueError("it is not a safetensors file, or it is cut off")
        text = file.read(length)
    try:
        header = json.loads(text, object_pairs_hook=_unique)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError("it is not a safetensors file") from error
    if not isinstance(header, dict) or len(header) > MAX_TENSORS:
        raise ValueError("it is not a safetensors file, or it holds too many tensors")
    tensors = {name: _tensor(spec, 8 + length) for name, spec in header.items() if name != "__metadata__"}
    if sum(tensor.size for tensor in tensors.values()) != total - 8 - length:
        raise ValueError("it is longer or shorter than its tensors")
    return tensors


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("it holds a name twice")
    return found


def _tensor(spec: Any, base: int) -> TensorInfo:
    try:
        dtype, shape, (start, stop) = spec["dtype"], tuple(spec["shape"]), spec["data_offsets"]
        numbers = (*shape, start, stop)
        if dtype not in _WIDTHS or not all(type(number) is int and number >= 0 for number in numbers):
            raise ValueError
        if stop - start != math.prod(shape) * _WIDTHS[dtype]:
            raise ValueError
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError("the size or type of one of its tensors is wrong") from error
    return TensorInfo(dtype, shape, base + start, stop - start)


def read_floats(path: Path) -> dict[str, FloatArray]:
    """Every tensor as float32, by name; ``ValueError`` for a broken file, other than float types, NaN and infinity."""
    header = read_header(path)
    try:
        # Checks what the header alone does not show: overlaps and holes.
        with safe_open(path, framework="np") as file:
            file.keys()
    except SafetensorError as error:
        raise ValueError("it is not a whole safetensors file") from error
    with path.open("rb") as file:
        return {name: _read_float(file, tensor) for name, tensor in header.items()}


def _read_float(file: BinaryIO, tensor: TensorInfo) -> FloatArray:
    file.seek(tensor.start)
    data = file.read(tensor.size)
    if tensor.dtype == "BF16":
        # bfloat16 is the upper half of a float32; numpy has no such type.
        array = (np.frombuffer(data, dtype="<u2").astype(np.uint32) << 16).view(np.float32)
    elif tensor.dtype in _FLOATS:
        with np.errstate(over="ignore"):
            array = np.frombuffer(data, dtype=_FLOATS[tensor.dtype]).astype(np.float32)
    else:
        raise ValueError("one of its tensors does not hold floating-point numbers")
    if not np.isfinite(array).all():
        raise ValueError("it holds numbers that are not finite (NaN or infinity)")
    return array.reshape(tensor.shape)
