"""Which files of a repository are graphs that somebody has exported: optimum's and transformers.js's layouts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from zoo.catalogue.entry import Precision
from zoo.errors import InvalidInput

FOLDERS = ("onnx/", "")
# What stands behind a graph's name, most exact first; the longer ones are those of sentence-transformers, by the CPU
# that they are quickest on.
_ENDINGS: Mapping[Precision, tuple[str, ...]] = {
    "fp32": ("",),
    "int8": ("_quantized", "_int8", "_uint8", "_quint8_avx2", "_qint8_avx512", "_qint8_avx512_vnni", "_qint8_arm64"),
}
SINGLE = {"model.onnx": "model"}
PAIR = {"model.onnx": "encoder_model", "decoder.onnx": "decoder_model_merged"}
"""Name in a version -> name in a repository, without its ending."""
_OUTSIDE = ("_data", ".data")
MOST_PARTS = 64  # of weights outside of one graph


@dataclass(frozen=True)
class ReadyMade:
    """``graphs``: name in a version -> path in the repository. ``outside``: files of weights that lie beside them."""

    graphs: Mapping[str, str]
    outside: tuple[str, ...]
    precision: Precision

    @property
    def paths(self) -> tuple[str, ...]:
        """All files."""
        return (*self.graphs.values(), *self.outside)


@dataclass(frozen=True)
class GraphWish:
    """What an import does with ready-made graphs.

    ``weights``: whether it can use weights too, because torch is there. ``always``: it takes the graphs also where
    there are weights. ``precision``: the one that is wanted, or any.
    """

    weights: bool
    always: bool
    precision: Precision | None = None

    def find(self, paths: Mapping[str, int]) -> ReadyMade | None:
        """Of a repository's files; the exact graphs if there are any and nothing else is wished."""
        wanted: tuple[Precision, ...] = ("fp32", "int8") if self.precision is None else (self.precision,)
        return next((found for precision in wanted for found in _found(paths, precision)), None)


def _found(paths: Mapping[str, int], precision: Precision) -> Iterator[ReadyMade]:
    for folder in FOLDERS:
        for names in (SINGLE, PAIR):
            for ending in _ENDINGS[precision]:
                graphs = {name: f"{folder}{stem}{ending}.onnx" for name, stem in names.items()}
                if all(path in paths for path in graphs.values()):
                    outside = [file for path in graphs.values() for file in _outside(path) if file in paths]
                    yield ReadyMade(graphs, tuple(outside), precision)


def _outside(graph: str) -> Iterator[str]:
    """Names that exporters give to files of weights outside of a graph."""
    for ending in _OUTSIDE:
        yield graph + ending
        yield from (f"{graph}{ending}_{part}" for part in range(1, MOST_PARTS))


def missing_graph(paths: Mapping[str, int]) -> InvalidInput | None:
    """What is wrong with a repository that has some graph but none that can be served; None where it has none."""
    graphs = sorted(path for path in paths if path.endswith(".onnx"))
    if not graphs:
        return None
    if any("encoder_model" in path for path in graphs):
        message = (
            "it has no encoder_model.onnx with a decoder_model_merged.onnx of the same kind beside it: export both"
        )
    else:
        message = f"of its graphs, such as {graphs[0][:80]}, none is a model.onnx, or a model_quantized.onnx for int8"
    return InvalidInput(message, code="incomplete_graph")
