"""Attention that an exporter wrote as twenty small nodes becomes one operator of ONNX Runtime.

What is looked for is ``softmax(Q Kᵀ · scale + biases) V`` over heads (Vaswani et al., 2017), as torch's exporters write
it for encoders: heads are split off the last axis, products of four axes are taken, heads are joined again. Masks and
relative positions are biases, whatever they are made of. ``MultiHeadAttention`` of ONNX Runtime's own domain takes the
same three projections and the sum of the biases. Attention of another form, such as that over a decoder's cache, stays.

minilm on two cores of a Zen 3: 1.08 times the speed for a text of 16 tokens, 1.24 to 1.49 for one of 512.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from zoo.catalogue.onnx_graph import Node, OnnxGraph

DOMAIN, OPERATOR = "com.microsoft", "MultiHeadAttention"
HEADS_FIRST = [0, 2, 1, 3]  # (rows, tokens, heads, numbers) to (rows, heads, tokens, numbers), and back
MOST_BIASES = 3
DEPTH = 6  # nodes between a projection's product and the place where its heads are split


def fused_attention(message: bytes) -> bytes | None:
    """A serialised model with its attention fused; None where there is none of that form. ``ValueError`` for no model.

    A row none of whose tokens may be looked at is answered with something else than without: with no numbers at all.
    """
    graph = OnnxGraph.read(message)
    if any(node.branches for node in graph.nodes):
        return None
    made = _Fusion(graph).made()
    if not made:
        return None
    graph.replace(made, DOMAIN)
    return graph.written()


@dataclass(frozen=True)
class _Heads:
    """A projection (rows, tokens, heads * size), split into heads of ``size`` and multiplied with ``scale``."""

    source: str
    count: int
    size: int
    scale: float


@dataclass(frozen=True)
class _Scores:
    """``product``: of queries and keys, still to be multiplied with ``scale``; what is added behind."""

    product: Node
    scale: float
    biases: tuple[str, ...] = ()


@dataclass
class _Fusion:
    graph: OnnxGraph
    spread: dict[tuple[object, ...], str] = field(default_factory=dict)
    """Biases as large as the scores, by what they are the sum of and the lengths of queries and keys."""

    def made(self) -> dict[str, list[Node]]:
        """New nodes for each value that they make instead of the node that made it."""
        softmaxes = [node for node in self.graph.nodes if node.kind == "Softmax"]
        return {name: nodes for node in softmaxes for name, nodes in self._fused(node)}

    def _fused(self, softmax: Node) -> Iterator[tuple[str, list[Node]]]:
        scores = self._scores(softmax.inputs[0], MOST_BIASES)
        joined = self._joined(softmax)
        if scores is None or joined is None or softmax.integer("axis", -1) not in (-1, 3):
            return
        weighted, output = joined
        queries, keys = self._heads(scores.product.inputs[0]), self._turned(scores.product.inputs[1])
        values = self._heads(weighted.inputs[1])
        if queries is None or keys is None or values is None or values.scale != 1.0:
            return
        if (queries.count, queries.size) != (keys.count, keys.size) or values.count != queries.count:
            return
        if any(len(self.graph.axes(bias)) != 4 for bias in scores.biases):
            return
        nodes, bias = self._bias(scores.biases, queries.source, keys.source, output)
        inputs = (queries.source, keys.source, values.source, "", "", bias)
        scale = scores.scale * queries.scale * keys.scale
        nodes.append(Node.of(OPERATOR, inputs, [output], domain=DOMAIN, num_heads=queries.count, scale=scale))
        yield output, nodes

    def _bias(self, biases: tuple[str, ...], queries: str, keys: str, output: str) -> tuple[list[Node], str]:
        """The sum of biases as the operators take it, "" for none, and the nodes for it that are not there yet."""
        if not biases:
            return [], ""
        wanted = (biases, self._length(queries), self._length(keys))
        known = wanted in self.spread
        name = self.spread.setdefault(wanted, f"{output}.biases")
        return [] if known else list(_spread(biases, queries, keys, name)), name

    def _length(self, source: str) -> str:
        """What the file calls the number of tokens, or where it does not say, the value that has them."""
        return self.graph.axes(source)[1] or source

    def _maker(self, value: str) -> Node | None:
        return self.graph.makers.get(value)

    def _scaled(self, value: str) -> tuple[str, float]:
        """What a value is a multiple of, and how many times it."""
        scale = 1.0
        while (node := self._maker(value)) is not None and node.kind in ("Mul", "Div", "Identity"):
            if node.kind == "Identity":
                value = node.inputs[0]
                continue
            left, right = node.inputs
            factor = self.graph.scalar(right)
            if factor is None and node.kind == "Mul":
                left, factor = right, self.graph.scalar(left)
            if not factor:
                break
            value, scale = left, scale * factor if node.kind == "Mul" else scale / factor
        return value, scale

    def _scores(self, value: str, biases: int) -> _Scores | None:
        source, scale = self._scaled(value)
        node = self._maker(source)
        if node is None:
            return None
        if node.kind == "MatMul":
            return _Scores(node, scale)
        if node.kind == "Add" and scale == 1.0 and biases:
            for one, other in (node.inputs, node.inputs[::-1]):
                if (found := self._scores(one, biases - 1)) is not None and self._heads(found.product.inputs[0]):
                    return _Scores(found.product, found.scale, (*found.biases, other))
        return None

    def _heads(self, value: str) -> _Heads | None:
        """Of (rows, heads, tokens, numbers)."""
        value, scale = self._scaled(value)
        node = self._maker(value)
        return self._split(node.inputs[0], scale) if _turns(node, HEADS_FIRST) and node is not None else None

    def _turned(self, value: str) -> _Heads | None:
        """Of (rows, heads, numbers, tokens), turned at once or in two steps, perhaps with heads as rows between."""
        value, scale = self._scaled(value)
        node = self._maker(value)
        if node is None:
            return None
        if _turns(node, [0, 2, 3, 1]):
            return self._split(node.inputs[0], scale)
        if _turns(node, [0, 1, 3, 2]):
            inner = self._heads(node.inputs[0])
        elif node.kind == "Reshape" and len(self.graph.axes(value)) == 4:
            turned = self._maker(node.inputs[0])
            flat = self._maker(turned.inputs[0]) if turned is not None and _turns(turned, [0, 2, 1]) else None
            if flat is None or flat.kind != "Reshape" or not self._ends_with_size(flat):
                return None
            inner = self._heads(flat.inputs[0])
        else:
            return None
        return inner and _Heads(inner.source, inner.count, inner.size, inner.scale * scale)

    def _ends_with_size(self, reshape: Node) -> bool:
        """Whether (rows, heads, tokens, numbers) keeps its two last axes, as torch writes it: from its own shape."""
        shape = self._maker(reshape.inputs[1])
        written = shape is not None and shape.kind == "Concat" and len(shape.inputs) == 3
        return written and len(self.graph.axes(reshape.inputs[0])) == 4

    def _split(self, value: str, scale: float) -> _Heads | None:
        node = self._maker(value)
        if node is None or node.kind != "Reshape" or len(self.graph.axes(node.inputs[0])) != 3:
            return None
        width = self._width(node.inputs[0], DEPTH)
        shape = self._shape(node.inputs[1])
        if width is None or len(shape) != 4 or (size := shape[3]) is None or size < 1 or width % size:
            return None
        count = width // size
        return _Heads(node.inputs[0], count, size, scale) if shape[2] in (-1, count) else None

    def _joined(self, softmax: Node) -> tuple[Node, str] | None:
        """The product with the values, and the value in which the heads are side by side again."""
        weights = softmax.outputs[0]
        readers = self.graph.readers.get(weights, [])
        guard = next((node for node in readers if node.kind == "Where" and node.inputs[2] == weights), None)
        if guard is not None and (test := self._maker(guard.inputs[0])) is not None and test.kind == "IsNaN":
            weights = guard.outputs[0]
            readers = self.graph.readers.get(weights, [])
        weighted = _only(readers, "MatMul")
        if weighted is None or weighted.inputs[0] != weights:
            return None
        value = weighted.outputs[0]
        viewed = _only(self.graph.readers.get(value, []), "Reshape")
        if viewed is not None and len(self._shape(viewed.inputs[1])) == 4:  # torch says again what the axes are
            value = viewed.outputs[0]
        turned = _only(self.graph.readers.get(value, []), "Transpose")
        if turned is None or not _turns(turned, HEADS_FIRST):
            return None
        joined = _only(self.graph.readers.get(turned.outputs[0], []), "Reshape")
        return (weighted, joined.outputs[0]) if joined and len(self._shape(joined.inputs[1])) == 3 else None

    def _shape(self, value: str) -> list[int | None]:
        """The numbers that a shape is known to have; None for one that the data tells."""
        constant, node = self.graph.constants.get(value), self._maker(value)
        if constant is not None:
            return [None] * constant.dims[0] if constant.numbers is None else [int(one) for one in constant.numbers]
        if node is None:
            return []
        if node.kind == "Concat":
            return [number for part in node.inputs for number in self._shape(part)]
        return [None]

    def _width(self, value: str, depth: int) -> int | None:
        """Numbers of a vector: those of the bias that was added, or of the matrix that it was multiplied with."""
        node = self._maker(value)
        if node is None or not depth or node.kind not in ("Add", "Mul", "Div", "MatMul", "MatMulNBits"):
            return None
        if node.kind == "MatMulNBits":
            return node.integer("N", 0) or None
        if node.kind == "MatMul":
            matrix = self.graph.constants.get(node.inputs[1])
            return matrix.dims[1] if matrix is not None and len(matrix.dims) == 2 else None
        for name in node.inputs:
            constant = self.graph.constants.get(name)
            if constant is not None and len(constant.dims) == 1 and constant.dims[0] > 1:
                return constant.dims[0]
        return next((found for one in node.inputs if (found := self._width(one, depth - 1)) is not None), None)


def _only(readers: list[Node], kind: str) -> Node | None:
    return readers[0] if len(readers) == 1 and readers[0].kind == kind else None


def _turns(node: Node | None, order: list[int]) -> bool:
    return node is not None and node.kind == "Transpose" and node.integers("perm") == order


def _spread(biases: tuple[str, ...], queries: str, keys: str, name: str) -> Iterator[Node]:
    """The sum of biases, with an axis for the queries' tokens: the operator repeats it for rows and heads alone."""
    total = biases[0]
    for place, bias in enumerate(biases[1:]):
        yield Node.of("Add", [total, bias], [f"{name}.sum{place}"])
        total = f"{name}.sum{place}"
    yield Node.of("Shape", [queries], [f"{name}.tokens"], start=1, end=2)
    yield Node.of("Shape", [keys], [f"{name}.others"], start=1, end=2)
    yield Node.of("Concat", [f"{name}.tokens", f"{name}.others"], [f"{name}.shape"], axis=0)
    yield Node.of("Expand", [total, f"{name}.shape"], [name])
