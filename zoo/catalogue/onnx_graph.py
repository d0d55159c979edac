"""The nodes of an ONNX graph, to be looked at and replaced, without the library for it: what serving needs of one."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from zoo.catalogue import wire

# Numbers of fields in onnx.proto, which never change.
_GRAPH, _OPSETS = 7, 8
_NODE, _INITIALIZER, _INPUT, _OUTPUT, _KNOWN = 1, 5, 11, 12, 13
_NODE_INPUT, _NODE_OUTPUT, _NODE_TYPE, _NODE_ATTRIBUTE, _NODE_DOMAIN = 1, 2, 4, 5, 7
_ATTRIBUTE_NAME, _FLOAT, _INT, _TENSOR, _BRANCH, _INTS, _ATTRIBUTE_TYPE = 1, 2, 3, 5, 6, 8, 20
_FLOAT_TYPE, _INT_TYPE = 1, 2
_DIMS, _DATA_TYPE, _FLOATS, _LONGS, _TENSOR_NAME, _RAW = 1, 2, 4, 7, 8, 9
_VALUE_NAME, _VALUE_TYPE, _TENSOR_TYPE, _SHAPE, _DIMENSION = 1, 2, 1, 2, 1
_AXIS_LENGTH, _AXIS_NAME = 1, 2
_OPSET_DOMAIN, _OPSET_VERSION = 1, 2
_FLOAT32 = 1
_ELEMENTS = {_FLOAT32: "f", 7: "q"}  # and int64, as struct names them


@dataclass(frozen=True, eq=False)
class Node:
    """One operator: names of what it reads and makes. ``attributes`` have their fields in onnx.proto, by name."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Sequence[tuple[int, wire.Value]]]
    encoded: bytes

    @classmethod
    def of(
        cls,
        kind: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        *,
        domain: str = "",
        **attributes: int | float,
    ) -> Node:
        """A new one, whose attributes are whole numbers or floats."""
        parts = [wire.field(_NODE_INPUT, name.encode()) for name in inputs]
        parts += [wire.field(_NODE_OUTPUT, name.encode()) for name in outputs]
        parts.append(wire.field(_NODE_TYPE, kind.encode()))
        parts += [wire.field(_NODE_ATTRIBUTE, _attribute(name, value)) for name, value in attributes.items()]
        parts.append(wire.field(_NODE_DOMAIN, domain.encode()))
        return cls.read(memoryview(b"".join(parts)))

    @classmethod
    def read(cls, message: memoryview) -> Node:
        """As a file has it; ``ValueError`` for what is none."""
        inputs, outputs = [], []
        kind, attributes = "", dict[str, list[tuple[int, wire.Value]]]()
        for number, value in wire.fields(message):
            if isinstance(value, int):
                continue
            if number == _NODE_INPUT:
                inputs.append(str(value, "utf-8"))
            elif number == _NODE_OUTPUT:
                outputs.append(str(value, "utf-8"))
            elif number == _NODE_TYPE:
                kind = str(value, "utf-8")
            elif number == _NODE_ATTRIBUTE:
                attributes[wire.text(value, _ATTRIBUTE_NAME)] = list(wire.fields(value))
        return cls(kind, tuple(inputs), tuple(outputs), attributes, bytes(message))

    @property
    def branches(self) -> bool:
        """Whether it holds graphs of its own, which read values of this one."""
        return any(number == _BRANCH for fields in self.attributes.values() for number, _ in fields)

    def integer(self, name: str, default: int) -> int:
        """An attribute that is a whole number."""
        for number, value in self.attributes.get(name, ()):
            if number == _INT and isinstance(value, int):
                return _signed(value)
        return default

    def integers(self, name: str) -> list[int]:
        """An attribute that is a list of them; empty where it is missing."""
        found: list[int] = []
        for number, value in self.attributes.get(name, ()):
            if number == _INTS:
                found += [value] if isinstance(value, int) else wire.varints(value)
        return [_signed(one) for one in found]

    def tensor(self, name: str) -> memoryview | None:
        """An attribute that is a tensor."""
        for number, value in self.attributes.get(name, ()):
            if number == _TENSOR and not isinstance(value, int):
                return value
        return None


@dataclass(frozen=True)
class Constant:
    """A value that lies in the graph: its axes, and its numbers where they are few."""

    dims: tuple[int, ...]
    numbers: tuple[float, ...] | None


MOST_NUMBERS = 64  # of a constant that is read: shapes, axes and factors


@dataclass
class OnnxGraph:
    """A model whose nodes can be replaced; everything else of it is kept as it is."""

    nodes: list[Node]
    constants: dict[str, Constant]
    outputs: frozenset[str]
    _described: dict[str, memoryview]
    _message: bytes
    _domains: set[str] = field(default_factory=set)

    @classmethod
    def read(cls, message: bytes) -> OnnxGraph:
        """A serialised model; ``ValueError`` for what is none."""
        (graph,) = wire.messages(memoryview(message), _GRAPH)
        nodes, constants, described, outputs = list[Node](), dict[str, Constant](), dict[str, memoryview](), list[str]()
        for number, value in wire.fields(graph):
            if isinstance(value, int):
                continue
            if number == _NODE:
                nodes.append(Node.read(value))
            elif number == _INITIALIZER:
                constants[_name(value)] = _constant(value)
            elif number in (_INPUT, _OUTPUT, _KNOWN):
                name = wire.text(value, _VALUE_NAME)
                described[name] = value
                if number == _OUTPUT:
                    outputs.append(name)
        for node in nodes:
            if node.kind == "Constant" and (tensor := node.tensor("value")) is not None:
                constants[node.outputs[0]] = _constant(tensor)
        return cls(nodes, constants, frozenset(outputs), described, message)

    @cached_property
    def makers(self) -> dict[str, Node]:
        """The node that makes a value."""
        return {name: node for node in self.nodes for name in node.outputs}

    @cached_property
    def readers(self) -> dict[str, list[Node]]:
        """The nodes that read a value."""
        found: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                found.setdefault(name, []).append(node)
        return found

    def axes(self, name: str) -> list[str]:
        """Of a value, by name or length, "" for what has neither; empty where the file does not say what it has.

        Exporters write them beside the nodes.
        """
        if name in self.constants:
            return [str(size) for size in self.constants[name].dims]
        for kind in wire.messages(self._described.get(name, memoryview(b"")), _VALUE_TYPE):
            for tensor in wire.messages(kind, _TENSOR_TYPE):
                for shape in wire.messages(tensor, _SHAPE):
                    return [_axis(one) for one in wire.messages(shape, _DIMENSION)]
        return []

    def scalar(self, name: str) -> float | None:
        """A constant of one number."""
        constant = self.constants.get(name)
        return constant.numbers[0] if constant and constant.numbers and len(constant.numbers) == 1 else None

    def replace(self, made: Mapping[str, Sequence[Node]], domain: str) -> None:
        """Let values be made by other nodes, of ``domain`` among others; what nothing needs any more goes."""
        nodes = [one for node in self.nodes for one in made.get(node.outputs[0], (node,))]
        needed, kept = set(self.outputs), list[Node]()
        for node in reversed(nodes):
            if needed & set(node.outputs):
                needed.update(node.inputs)
                kept.append(node)
        self.nodes = kept[::-1]
        self.constants = {name: constant for name, constant in self.constants.items() if name in needed}
        self._domains.add(domain)
        self.__dict__.pop("makers", None)
        self.__dict__.pop("readers", None)

    def written(self) -> bytes:
        """The model, serialised."""
        parts, known = [], set()
        message = memoryview(self._message)
        for number, value, start, end in wire.spans(message):
            if number == _GRAPH and not isinstance(value, int):
                parts.append(wire.field(_GRAPH, b"".join(self._graph(value))))
            else:
                parts.append(bytes(message[start:end]))
            if number == _OPSETS and not isinstance(value, int):
                known.add(wire.text(value, _OPSET_DOMAIN))
        for domain in self._domains - known:
            version = wire.field(_OPSET_DOMAIN, domain.encode()) + wire.number_field(_OPSET_VERSION, 1)
            parts.append(wire.field(_OPSETS, version))
        return b"".join(parts)

    def _graph(self, graph: memoryview) -> Iterator[bytes]:
        for number, value, start, end in wire.spans(graph):
            unused = number == _INITIALIZER and not isinstance(value, int) and _name(value) not in self.constants
            if number != _NODE and not unused:
                yield bytes(graph[start:end])
        yield from (wire.field(_NODE, node.encoded) for node in self.nodes)


def _attribute(name: str, value: float) -> bytes:
    if isinstance(value, int):
        content, kind = wire.number_field(_INT, value), _INT_TYPE
    else:
        content, kind = wire.float_field(_FLOAT, value), _FLOAT_TYPE
    return wire.field(_ATTRIBUTE_NAME, name.encode()) + content + wire.number_field(_ATTRIBUTE_TYPE, kind)


def _name(tensor: memoryview) -> str:
    return wire.text(tensor, _TENSOR_NAME)


def _axis(dimension: memoryview) -> str:
    return wire.text(dimension, _AXIS_NAME) or "".join(map(str, wire.numbers(dimension, _AXIS_LENGTH)))


def _constant(tensor: memoryview) -> Constant:
    dims = tuple(wire.numbers(tensor, _DIMS))
    size = math.prod(dims)
    element = _ELEMENTS.get(next(iter(wire.numbers(tensor, _DATA_TYPE)), 0))
    if element is None or size > MOST_NUMBERS:
        return Constant(dims, None)
    raw = b"".join(bytes(one) for one in wire.messages(tensor, _RAW))
    if raw:
        fits = len(raw) == struct.calcsize(element) * size
        return Constant(dims, struct.unpack(f"<{size}{element}", raw) if fits else None)
    numbers = [_signed(one) for one in wire.numbers(tensor, _LONGS)] if element == "q" else wire.floats(tensor, _FLOATS)
    return Constant(dims, tuple(numbers) if len(numbers) == size else None)


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value
