"""What is to be exported, run by torch in the place of ONNX Runtime: a task can search with it before it is a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch

from adapters.training.recipe import Servable
from zoo.tasks.task import Array, Run


class GraphsInTorch:
    """A ``Runs``: called it runs the main module, the further ones are had by their names."""

    def __init__(self, servable: Servable) -> None:
        self._main = _run(servable)
        self._others = {name: _run(graph) for name, graph in servable.further.items()}

    def __call__(self, feeds: Mapping[str, Array], outputs: Sequence[str] | None = None) -> list[Array]:
        """The outputs (all, or those named) for one batch."""
        return self._main(feeds, outputs)

    def __getitem__(self, graph: str) -> Run:
        return self._others[graph]


def _run(servable: Servable) -> Callable[..., list[Array]]:
    @torch.no_grad()
    def run(feeds: Mapping[str, Array], outputs: Sequence[str] | None = None) -> list[Array]:
        given = servable.module(**{name: torch.from_numpy(feeds[name]) for name in servable.inputs})
        answers = given if isinstance(given, tuple) else (given,)
        named = dict(zip(servable.outputs, answers, strict=True))
        return [named[name].numpy() for name in outputs or servable.outputs]

    return run
