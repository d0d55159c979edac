"""What an ONNX file says of itself, read before any runtime opens it: operators, outside files, inputs and outputs."""

from __future__ import annotations

import math
import mmap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from zoo.catalogue import wire
from zoo.catalogue.entry import is_relative_file
from zoo.errors import InvalidInput

MOST_NODES = 200_000
# What runs a graph again and again, a Loop for as long as the data says: a text could hold a run for ever. A merged
# decoder needs If alone.
REPEATING = frozenset({"Loop", "Scan", "SequenceMap"})
MOST_DEPTH = 8  # of graphs in the branches of nodes; a merged decoder has one
STANDARD = frozenset({"", "ai.onnx"})
RUNTIME = "com.microsoft"
# Those of ONNX Runtime's own operators that tools write into files of transformers: fused and quantised products,
# attention and norms. Others, such as those that run a program's function, have no place in a network.
RUNTIME_OPERATORS = frozenset(
    "Attention BiasGelu DequantizeLinear DynamicQuantizeLSTM DynamicQuantizeMatMul EmbedLayerNormalization FastGelu"
    " FusedGemm FusedMatMul GatherBlockQuantized Gelu GroupQueryAttention MatMulInteger16 MatMulIntegerToFloat"
    " MatMulNBits MultiHeadAttention QAttention QEmbedLayerNormalization QGemm QLinearAdd QLinearConcat QLinearMul"
    " QLinearSoftmax QuantizeLinear QuickGelu RelativePositionBias RotaryEmbedding SimplifiedLayerNormalization"
    " SkipLayerNormalization SkipSimplifiedLayerNormalization".split()
)
# Numbers of fields in onnx.proto, which never change.
_GRAPH, _OPSETS, _FUNCTIONS = 7, 8, 25
_NODE, _INITIALIZER, _INPUT, _OUTPUT, _SPARSE = 1, 5, 11, 12, 15
_NODE_TYPE, _NODE_ATTRIBUTE, _NODE_DOMAIN = 4, 5, 7
_ATTRIBUTE_TENSOR, _ATTRIBUTE_GRAPH, _ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS = 5, 6, 10, 11
_ATTRIBUTE_SPARSE = (22, 23)
_DIMS, _DATA_TYPE, _OUTSIDE = 1, 2, 13
_NAME_OF_VALUE, _TYPE_OF_VALUE, _TENSOR_TYPE, _ELEMENT, _SHAPE, _DIMENSION, _EXTENT = 1, 2, 1, 1, 2, 1, 1
_NAME_OF_TENSOR = 8
# Bits of an element by its number in onnx.proto; texts and types to come count as the largest.
_BITS = {1: 32, 2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 9: 8, 10: 16, 11: 64, 12: 32, 13: 64, 16: 16, 21: 4, 22: 4}
INT64 = 7


@dataclass(frozen=True)
class Value:
    """An input or output: its name, the number of its type in onnx.proto, and its axes, None where one is free."""

    name: str
    type: int
    shape: tuple[int | None, ...]


@dataclass(frozen=True)
class OnnxFile:
    """``outside`` are files beside it that hold weights, by name; ``weights``: bytes of all of them."""

    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    outside: frozenset[str]
    weights: int

    def output(self, name: str) -> Value | None:
        """By its name."""
        return next((value for value in self.outputs if value.name == name), None)


@dataclass
class _Tally:
    """What is found on the way through a file."""

    nodes: int = 0
    weights: int = 0
    outside: set[str] = field(default_factory=set)


def read_onnx(path: Path) -> OnnxFile:
    """Read a file without opening any other.

    ``InvalidInput``: ``invalid_graph`` for a file that is no ONNX graph; ``unsafe_graph`` for operators of an unknown
    domain, loops, functions of its own, weights in a file elsewhere, and sizes that contradict each other.
    """
    try:
        with path.open("rb") as file:
            # Not closed by hand: an error on its way holds parts of it. It goes with the last of them.
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return _read(path, memoryview(mapped))
    except (ValueError, OSError) as error:
        raise InvalidInput(f"{path.name} is no ONNX graph: {_reason(error)}.", code="invalid_graph") from error


def _reason(error: Exception) -> str:
    return str(error) if type(error) is ValueError and str(error).startswith("it ") else "it cannot be read"


def _read(path: Path, message: memoryview) -> OnnxFile:
    graphs = list(wire.messages(message, _GRAPH))
    opsets = list(wire.messages(message, _OPSETS))
    if len(graphs) != 1 or not opsets:
        raise ValueError("it holds no graph, or no versions of its operators")
    if any(True for _ in wire.messages(message, _FUNCTIONS)):
        raise _unsafe(path, "it defines operators of its own")
    tally = _Tally()
    _visit(path, graphs[0], tally, depth=0)
    return OnnxFile(
        inputs=tuple(_values(graphs[0], _INPUT, without=_initializers(graphs[0]))),
        outputs=tuple(_values(graphs[0], _OUTPUT, without=frozenset())),
        outside=frozenset(tally.outside),
        weights=tally.weights,
    )


def _visit(path: Path, graph: memoryview, tally: _Tally, *, depth: int) -> None:
    if depth > MOST_DEPTH:
        raise _unsafe(path, f"its branches are nested more than {MOST_DEPTH} deep")
    for number, value in wire.fields(graph):
        if isinstance(value, int):
            continue
        if number == _INITIALIZER:
            _weigh(path, value, tally)
        elif number == _SPARSE:
            raise _unsafe(path, "it holds sparse weights, which no network here has")
        elif number == _NODE:
            tally.nodes += 1
            if tally.nodes > MOST_NODES:
                raise _unsafe(path, f"it has more than {MOST_NODES} operators")
            _check_node(path, value, tally, depth)


def _check_node(path: Path, node: memoryview, tally: _Tally, depth: int) -> None:
    kind, domain = wire.text(node, _NODE_TYPE), wire.text(node, _NODE_DOMAIN)
    if domain not in STANDARD and not (domain == RUNTIME and kind in RUNTIME_OPERATORS):
        raise _unsafe(path, f"it needs the operator {kind[:64]} of {domain[:64]}, which is not built in")
    if kind in REPEATING:
        raise _unsafe(path, f"it has the operator {kind}, which may run for ever; export it without loops")
    for attribute in wire.messages(node, _NODE_ATTRIBUTE):
        for number, value in wire.fields(attribute):
            if isinstance(value, int):
                continue
            if number in (_ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS):
                _visit(path, value, tally, depth=depth + 1)
            elif number in (_ATTRIBUTE_TENSOR, _ATTRIBUTE_TENSORS):
                _weigh(path, value, tally)
            elif number in _ATTRIBUTE_SPARSE:
                raise _unsafe(path, "it holds sparse weights, which no network here has")


def _weigh(path: Path, tensor: memoryview, tally: _Tally) -> None:
    places = {wire.text(pair, 1): wire.text(pair, 2) for pair in wire.messages(tensor, _OUTSIDE)}
    size = math.prod(wire.numbers(tensor, _DIMS)) * _BITS.get(next(iter(wire.numbers(tensor, _DATA_TYPE)), 0), 64) // 8
    if not places:
        tally.weights += _stored(tensor, size)
        return
    location = places.get("location", "")
    if not is_relative_file(location) or "/" in location:
        raise _unsafe(path, "it wants to read a file that does not lie beside it")
    file = path.with_name(location)
    if file.is_symlink() or not file.is_file():
        raise InvalidInput(f"{path.name} needs the file {location[:64]} beside it.", code="incomplete_graph")
    try:
        offset, length = int(places.get("offset", "0")), int(places.get("length", size))
    except ValueError:
        offset = -1
    if offset < 0 or length != size or offset + length > file.stat().st_size:
        raise _unsafe(path, f"it says that weights lie where {location[:64]} has none")
    tally.outside.add(location)
    tally.weights += size


def _stored(tensor: memoryview, size: int) -> int:
    """Bytes in memory. Small whole numbers may take an eighth of that in the file, as varints."""
    held = sum(len(value) if isinstance(value, memoryview) else 1 for _, value in wire.fields(tensor))
    if size > 8 * held:
        raise ValueError("it says that a tensor is larger than what is stored of it")
    return min(size, held)


def _initializers(graph: memoryview) -> frozenset[str]:
    """Files of old list weights among the inputs."""
    return frozenset(wire.text(tensor, _NAME_OF_TENSOR) for tensor in wire.messages(graph, _INITIALIZER))


def _values(graph: memoryview, number: int, *, without: frozenset[str]) -> Iterator[Value]:
    for value in wire.messages(graph, number):
        name = wire.text(value, _NAME_OF_VALUE)
        if name in without:
            continue
        tensors = [one for kind in wire.messages(value, _TYPE_OF_VALUE) for one in wire.messages(kind, _TENSOR_TYPE)]
        if len(tensors) != 1:
            raise ValueError("it takes or gives something else than tensors")
        element = next(iter(wire.numbers(tensors[0], _ELEMENT)), 0)
        extents = [
            next(iter(wire.numbers(axis, _EXTENT)), None)
            for shape in wire.messages(tensors[0], _SHAPE)
            for axis in wire.messages(shape, _DIMENSION)
        ]
        yield Value(name, element, tuple(extents))


def _unsafe(path: Path, fault: str) -> InvalidInput:
    return InvalidInput(f"{path.name} is refused: {fault}.", code="unsafe_graph")
