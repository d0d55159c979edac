"""What weights of fewer bits cost: how far a graph's answers move from those of the network that was imported."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from adapters.training.gate import Answer
from zoo.engine.session import Array, Session
from zoo.errors import ParityFailed

# Root mean square of the differences against that of the answers. Whisper tiny.en keeps its word errors with .02 to
# .03; a graph beyond this bound is broken rather than rounded.
MOST = 0.15


@dataclass(frozen=True)
class Loss:
    """Largest difference, the largest relative difference of an output (root mean squares), and, of rows whose first
    output is compared, the share whose largest value stands at the same place."""

    rows: int
    max_abs_difference: float
    relative_difference: float
    argmax_agreement: float

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, for the manifest."""
        return asdict(self)

    def described(self) -> str:
        """In words, for the job's events."""
        return (
            f"answers differ by at most {self.max_abs_difference:.2g} ({self.relative_difference:.1%} on average), "
            f"the likeliest is the same in {self.argmax_agreement:.1%} of {self.rows} rows"
        )


def loss_of(folder: Path, trained: Iterable[Answer], *, threads: int, file: str) -> Loss:
    """Of one graph; raises ``ParityFailed`` above ``MOST``, or for answers that are no numbers."""
    session = Session(folder / file, threads=threads)
    return loss_between((answer, session.run(answer.inputs)) for answer in trained)


def loss_between(pairs: Iterable[tuple[Answer, Sequence[Array]]]) -> Loss:
    """Of what 8 bits answered to the same inputs; raises as ``loss_of`` does."""
    worst, relative, rows, same = 0.0, 0.0, 0, 0
    for answer, served in pairs:
        for one, other in zip(served, answer.outputs, strict=True):
            apart = one.astype(np.float64) - other.astype(np.float64)
            worst = max(worst, float(np.abs(apart).max(initial=0.0)))
            relative = max(relative, _size(apart) / max(_size(other), 1e-9))
        count = answer.outputs[0].shape[-1]
        first, given = served[0].reshape(-1, count), answer.outputs[0].reshape(-1, count)
        rows += len(first)
        same += int((first.argmax(axis=1) == given.argmax(axis=1)).sum())
    if not relative <= MOST:
        raise ParityFailed(
            f"With weights of 8 bits the model answers otherwise: {relative:.1%} apart (at most {MOST:.0%} is allowed)."
            " Nothing was published: import it with precision fp32."
        )
    return Loss(rows, worst, relative, same / rows)


def together(losses: Sequence[Loss]) -> Loss:
    """Of all graphs of a version; agreement is that of the last, which answers a client."""
    return Loss(
        rows=losses[-1].rows,
        max_abs_difference=max(loss.max_abs_difference for loss in losses),
        relative_difference=max(loss.relative_difference for loss in losses),
        argmax_agreement=losses[-1].argmax_agreement,
    )


def _size(values: Any) -> float:
    return float(np.sqrt(np.square(values, dtype=np.float64).mean())) if values.size else 0.0
