"""A body's graph with slots for adapters: beside each linear layer that can be adapted ``y += (x · A[i]) · B[i]``.

Made when a body is imported, from the graph that was just compared with torch, whose weights it reads from that very
file. What is served from it is compared with torch again whenever a model is adapted.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper
from torch import Tensor, nn

from adapters.training.quantised import QUANTISED
from zoo.catalogue import wire
from zoo.catalogue.slot_table import ADAPTER, GRAPH, SlotLinear, SlotTable

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float32]]
SHARED = 1024  # bytes; smaller constants are written into the graph, where ONNX Runtime folds them
GRAPH_FIELD, INITIALIZER_FIELD, RAW_DATA_FIELD = 7, 5, 9  # numbers in onnx.proto
TWICE = "its weight is not in the graph exactly once"
OTHER = "its product is of another form"


@dataclass(frozen=True)
class Weight:
    """A linear layer's weight by its values, as it is (out, in) and transposed."""

    outputs: int
    inputs: int
    keys: tuple[bytes, bytes]


def linear_weights(body: nn.Module) -> dict[str, Weight]:
    """Of every linear layer by the name of its module, which is its name in an adapter, too."""
    return {name: _weight(module.weight) for name, module in body.named_modules() if isinstance(module, nn.Linear)}


def add_slots(folder: Path, source: Path, weights: Mapping[str, Weight]) -> SlotTable:
    """Write ``body.graph`` and ``body.json`` into ``folder``, from the graph ``source`` with the last layer left out if
    that is none of the body's.

    Weights that lie in a graph of the folder are read from there and not written again. The table tells which layers
    have slots and why others have none; where none has, nothing is written.
    """
    model = onnx.load(source)
    surgery = _Surgery(model)
    for name, weight in weights.items():
        surgery.find(name, weight)
    table = surgery.operate()
    if table.linears:
        _answer_vectors(model.graph, {product.weight for product in surgery.products.values()})
        _point(model, folder)
        onnx.save(model, folder / GRAPH)
        table.write(folder)
    return table


@dataclass(frozen=True)
class _Product:
    """A node that multiplies with a layer's weight; ``flat``: rows of numbers instead of rows of vectors."""

    weight: str
    node: NodeProto
    inputs: int
    outputs: int
    flat: bool


@dataclass
class _Surgery:
    model: onnx.ModelProto
    products: dict[str, _Product] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        graph = self.model.graph
        self._tensors: dict[bytes, list[str]] = {}
        for tensor in graph.initializer:
            if len(tensor.dims) == 2 and tensor.data_type == TensorProto.FLOAT:
                self._tensors.setdefault(_key(numpy_helper.to_array(tensor)), []).append(tensor.name)
        self._uses = Counter(name for node in graph.node for name in node.input)
        self._readers = {node.input[1]: node for node in graph.node if len(node.input) > 1}
        self._shapes = _shapes(self.model)
        self._rows = _axes(graph.input[0])[0]
        self._quantised = any(node.op_type == QUANTISED for node in graph.node)

    def find(self, name: str, weight: Weight) -> None:
        """Note where a layer stands in the graph, or why it gets no slots."""
        found = [(key, one) for key in dict.fromkeys(weight.keys) for one in self._tensors.get(key, [])]
        if self._quantised:
            self.left_out[name] = "its weights have 8 bits"
        elif len(found) != 1 or self._uses[found[0][1]] != 1 or found[0][1] not in self._readers:
            self.left_out[name] = TWICE
        else:
            turned = found[0][0] == weight.keys[1]
            node = self._readers[found[0][1]]
            axes = self._shapes.get(node.input[0], [])
            if not _multiplies(node, turned) or len(axes) not in (2, 3) or axes[0] != self._rows:
                self.left_out[name] = OTHER
            else:
                flat = len(axes) == 2
                self.products[name] = _Product(found[0][1], node, weight.inputs, weight.outputs, flat)

    def operate(self) -> SlotTable:
        """Put the slots into the graph."""
        groups: dict[str, list[str]] = {}
        for name, product in self.products.items():
            groups.setdefault(product.node.input[0], []).append(name)
        linears: dict[str, SlotLinear] = {}
        before: dict[str, list[NodeProto]] = {}
        after: dict[str, list[NodeProto]] = {}
        order = {node.output[0]: at for at, node in enumerate(self.model.graph.node)}
        for place, names in enumerate(groups.values()):
            down = f"slots.down.{place}"
            names.sort(key=lambda name: order[self.products[name].node.output[0]])
            first = self.products[names[0]]
            before[first.node.output[0]] = list(_reduced(down, first, len(names)))
            for part, name in enumerate(names):
                product = self.products[name]
                up = f"slots.up.{len(linears)}"
                linears[name] = SlotLinear(
                    inputs=product.inputs, outputs=product.outputs, down=down, up=up, part=part, parts=len(names)
                )
                after[product.node.output[0]] = list(_added(f"{down}.part{part}", up, product))
        if linears:
            self._insert(before, after)
            self._declare(linears)
        return SlotTable(linears=linears, left_out=self.left_out)

    def _insert(self, before: Mapping[str, list[NodeProto]], after: Mapping[str, list[NodeProto]]) -> None:
        nodes: list[NodeProto] = []
        for node in self.model.graph.node:
            (output, *_) = node.output
            nodes.extend(before.get(output, []))
            if output in after:
                node.output[0] = f"{output}.bare"
            nodes.extend([node, *after.get(output, [])])
        copies = [NodeProto.FromString(node.SerializeToString()) for node in nodes]
        del self.model.graph.node[:]
        self.model.graph.node.extend(copies)

    def _declare(self, linears: Mapping[str, SlotLinear]) -> None:
        graph = self.model.graph
        graph.input.append(helper.make_tensor_value_info(ADAPTER, TensorProto.INT64, ["adapters"]))
        axes: dict[str, list[str | int]] = {}
        for linear in linears.values():
            # Of layers that share A the graph splits a multiple of the rank.
            axes[linear.down] = ["slots", linear.inputs, "rank" if linear.parts == 1 else f"{linear.parts}_ranks"]
            axes[linear.up] = ["slots", "rank", linear.outputs]
        graph.input.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, one) for name, one in axes.items())
        graph.initializer.append(numpy_helper.from_array(np.array([1], dtype=np.int64), "slots.vectors"))


def _reduced(down: str, product: _Product, parts: int) -> Iterator[NodeProto]:
    """``x · A`` of layers that read the same, one part for each: (rows, vectors, rank)."""
    read = product.node.input[0]
    if product.flat:
        yield helper.make_node("Unsqueeze", [read, "slots.vectors"], [f"{down}.read"])
        read = f"{down}.read"
    names = [f"{down}.part{part}" for part in range(parts)]
    product_name = names[0] if parts == 1 else f"{down}.all"
    yield helper.make_node("Gather", [down, ADAPTER], [f"{down}.rows"], axis=0)
    yield helper.make_node("MatMul", [read, f"{down}.rows"], [product_name])
    if parts > 1:
        yield helper.make_node("Split", [product_name], names, axis=2, num_outputs=parts)


def _added(part: str, up: str, product: _Product) -> Iterator[NodeProto]:
    """``· B`` and the sum, before any bias: ONNX Runtime joins that with what follows."""
    output = product.node.output[0]
    yield helper.make_node("Gather", [up, ADAPTER], [f"{up}.rows"], axis=0)
    yield helper.make_node("MatMul", [part, f"{up}.rows"], [f"{up}.vectors" if product.flat else f"{up}.change"])
    if product.flat:
        yield helper.make_node("Squeeze", [f"{up}.vectors", "slots.vectors"], [f"{up}.change"])
    yield helper.make_node("Add", [f"{output}.bare", f"{up}.change"], [output])


def _multiplies(node: NodeProto, turned: bool) -> bool:
    """Whether a node is ``x · W``, perhaps with a bias, for the weight's second input as it is or transposed."""
    if node.op_type == "MatMul":
        return turned
    attributes = {one.name: helper.get_attribute_value(one) for one in node.attribute}
    plain = attributes.get("alpha", 1.0) == 1.0 and not attributes.get("transA", 0)
    return node.op_type == "Gemm" and plain and bool(attributes.get("transB", 0)) != turned


def _answer_vectors(graph: onnx.GraphProto, own: set[str]) -> None:
    """Answer with what the last layer reads, if that is a linear one and none of the body's; the nodes behind it go."""
    (output,) = graph.output
    makers = {name: node for node in graph.node for name in node.output}
    weights = {tensor.name for tensor in graph.initializer}
    last = makers[output.name]
    if last.op_type == "Add" and set(last.input) & weights:
        (read,) = set(last.input) - weights
        last = makers[read]
    if last.op_type not in ("MatMul", "Gemm") or last.input[1] not in weights or last.input[1] in own:
        return
    name = last.input[0]
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    _prune(graph)


def _prune(graph: onnx.GraphProto) -> None:
    """Leave out what no output needs."""
    needed = {value.name for value in graph.output}
    kept: list[NodeProto] = []
    for node in reversed(graph.node):
        if needed & set(node.output):
            needed |= set(node.input)
            kept.insert(0, NodeProto.FromString(node.SerializeToString()))
    del graph.node[:]
    graph.node.extend(kept)
    for tensor in [one for one in graph.initializer if one.name not in needed]:
        graph.initializer.remove(tensor)


def _point(model: onnx.ModelProto, folder: Path) -> None:
    """Let weights be read from where they lie in a graph of the folder, instead of holding them again."""
    known = {key: place for file in sorted(folder.glob("*.onnx")) for key, place in _places(file)}
    for tensor in model.graph.initializer:
        place = known.get(_digest(tensor.raw_data)) if len(tensor.raw_data) >= SHARED else None
        if place is not None:
            tensor.ClearField("raw_data")
            tensor.data_location = TensorProto.EXTERNAL
            for key, value in place.items():
                tensor.external_data.add(key=key, value=value)


def _places(file: Path) -> Iterator[tuple[bytes, dict[str, str]]]:
    """Of each large weight that a file holds where it lies, by its digest."""
    whole = np.memmap(file, mode="r")
    for graph in wire.messages(whole.data, GRAPH_FIELD):
        for tensor in wire.messages(graph, INITIALIZER_FIELD):
            for data in wire.messages(tensor, RAW_DATA_FIELD):
                if len(data) >= SHARED:
                    start = np.frombuffer(data, dtype=np.uint8).ctypes.data - whole.ctypes.data
                    yield _digest(data), {"location": file.name, "offset": str(start), "length": str(len(data))}


def _digest(data: bytes | memoryview) -> bytes:
    return hashlib.sha256(data).digest()


def _shapes(model: onnx.ModelProto) -> dict[str, list[str | int]]:
    """Axes by the name of a value, as the exporter knows them: a name or a number each."""
    return {value.name: _axes(value) for value in (*model.graph.input, *model.graph.value_info, *model.graph.output)}


def _axes(value: onnx.ValueInfoProto) -> list[str | int]:
    return [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]


def _weight(weight: Tensor) -> Weight:
    values: Floats = weight.detach().float().numpy()
    outputs, inputs = values.shape
    return Weight(outputs, inputs, (_key(values), _key(np.ascontiguousarray(values.T))))


def _key(values: Floats) -> bytes:
    return repr(values.shape).encode() + hashlib.sha256(np.ascontiguousarray(values).data).digest()
