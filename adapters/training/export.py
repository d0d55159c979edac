"""From a torch module to one ONNX file, with the exporter that torch and transformers maintain."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from adapters.training.graph_file import write_graph
from adapters.training.recipe import Servable

OPSET = 20
ROWS = 3  # of the example that the exporter traces; the gate tries others


def export(servable: Servable, target: Path) -> None:
    """Write ``target``: a graph whose free axes are those that ``servable`` names, with the weights inside."""
    batch = servable.example(ROWS, servable.sizes[0])
    axes = [servable.axes_of.get(name, servable.axes) for name in servable.inputs]
    names = {name for named in axes for name in named.values()}
    least, most = servable.least, servable.bounds
    sizes = {name: torch.export.Dim(name, min=least.get(name), max=most.get(name)) for name in names}
    with _quiet():
        program = torch.onnx.export(
            _Positional(servable.module, servable.inputs),
            tuple(batch[name] for name in servable.inputs),
            dynamo=True,
            opset_version=OPSET,
            dynamic_shapes={"inputs": tuple({axis: sizes[name] for axis, name in one.items()} for one in axes)},
            input_names=list(servable.inputs),
            output_names=list(servable.outputs),
            verbose=False,
        )
        assert program is not None
        write_graph(program.model, target)


class _Positional(nn.Module):
    """Hands positional inputs on by name: the exporter's dynamic shapes do not reach keyword arguments."""

    def __init__(self, module: nn.Module, names: tuple[str, ...]) -> None:
        super().__init__()
        self.module = module
        self._names = names

    def forward(self, *inputs: Tensor) -> Any:
        answer = self.module(**dict(zip(self._names, inputs, strict=True)))
        return answer


@contextlib.contextmanager
def _quiet() -> Any:
    """The exporter writes progress and notes about unused operators; they tell a user of the zoo nothing."""
    level = logging.getLogger("torch.onnx").level
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), torch.no_grad():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.getLogger("torch.onnx").setLevel(level)
