"""The gate: what is to be published answers as what was trained, through the very code that will serve it.

Compared are the bare outputs and the answers that a client would get, so that a wrong file, head, scale, tokenizer or
order of labels cannot pass: the expected values come from torch and never from the folder under test.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from adapters.training.recipe import Servable
from zoo.catalogue.entry import ModelEntry
from zoo.engine.predictor import MODEL_FILE, Predictor
from zoo.engine.session import Session
from zoo.errors import ParityFailed, ZooError

TOLERANCE = 1e-4
# (rows, length) other than those of the export, where a dimension that was silently fixed shows.
SHAPES = ((1, 1), (1, 5), (2, 64), (5, 33))


@dataclass(frozen=True)
class Parity:
    """How near the served model is to the trained one: largest absolute difference and share of equal answers."""

    rows: int
    max_abs_difference: float
    argmax_agreement: float
    tolerance: float = TOLERANCE

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, for the manifest."""
        return asdict(self)

    def require(self) -> Parity:
        """Itself if it passes; raises ``ParityFailed`` with the numbers if not."""
        if self.max_abs_difference <= self.tolerance and self.argmax_agreement == 1.0:
            return self
        raise ParityFailed(
            f"The exported model does not answer as the trained one: largest difference {self.max_abs_difference:.3g} "
            f"(at most {self.tolerance:.0e} is allowed), equal answers on {self.argmax_agreement:.2%} "
            f"of {self.rows} rows. Nothing was published."
        )


@dataclass(frozen=True)
class Expected:
    """What torch answers on the held-out rows: outputs (rows, labels), the label of each, and the requests for them."""

    requests: Sequence[object]
    outputs: Tensor
    labels: Sequence[str]


def prove(
    folder: Path, entry: ModelEntry, expected: Expected, *, threads: int, served_answer: Callable[[object], str]
) -> Parity:
    """Run the folder as the server would and compare; raises ``ParityFailed`` unless every row agrees."""
    try:
        predictor = Predictor(entry, folder, threads=threads, max_items=len(expected.requests))
        served = np.stack([np.asarray(row, dtype=np.float64) for row in predictor.rows(expected.requests)])
        answers = [served_answer(predictor.predict(request).body) for request in expected.requests]
    except ZooError as error:
        raise ParityFailed(f"The exported model cannot be served: {error.message} Nothing was published.") from error
    except (ValueError, IndexError) as error:
        message = "The exported model answers in another shape than the trained one. Nothing was published."
        raise ParityFailed(message) from error
    return _compare(served, expected.outputs, answers, expected.labels).require()


def _compare(served: Any, outputs: Tensor, answers: Sequence[str], labels: Sequence[str]) -> Parity:
    trained = outputs.detach().numpy().astype(np.float64)
    if served.shape != trained.shape:
        shapes = f"{served.shape[1:]}, the trained one {trained.shape[1:]}"
        message = f"The exported model answers {shapes}. Nothing was published."
        raise ParityFailed(message)
    same = [
        int(row.argmax()) == int(other.argmax()) and answer == label
        for row, other, answer, label in zip(served, trained, answers, labels, strict=True)
    ]
    difference = float(np.abs(served - trained).max())
    if not np.isfinite(difference):
        raise ParityFailed("The exported model answers with values that are no numbers. Nothing was published.")
    return Parity(rows=len(trained), max_abs_difference=difference, argmax_agreement=sum(same) / len(same))


def prove_shapes(folder: Path, servable: Servable, *, threads: int) -> Parity:
    """Compare the graph with torch on sizes other than those it was exported with; raises ``ParityFailed``.

    For imports, where there are no rows of a user's: inputs are random, the largest size is the model's own limit.
    """
    try:
        session = Session(folder / MODEL_FILE, threads=threads)
    except ZooError as error:
        raise ParityFailed(f"The exported model cannot be served: {error.message} Nothing was published.") from error
    worst, rows, same = 0.0, 0, 0
    for count, length in (*SHAPES, (2, servable.limit)):
        batch = servable.example(count, min(length, servable.limit))
        with torch.no_grad():
            trained = servable.module(**batch).numpy()
        served = session.run({name: values.numpy() for name, values in batch.items()})[0]
        if served.shape != trained.shape:
            raise ParityFailed(f"The exported graph answers {served.shape} where torch answers {trained.shape}.")
        worst = max(worst, float(np.abs(served - trained).max()))
        rows += count
        same += sum(
            int(row.argmax()) == int(other.argmax())
            for row, other in zip(served.reshape(count, -1), trained.reshape(count, -1), strict=True)
        )
    return Parity(rows=rows, max_abs_difference=worst, argmax_agreement=same / rows).require()
