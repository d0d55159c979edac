"""The gate: what is to be published answers as what was trained, through the very code that will serve it.

Compared are the bare outputs and the answers that a client would get, so that a wrong file, head, scale, tokenizer or
order of labels cannot pass: the expected values come from torch and never from the folder under test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from adapters.training.recipe import Servable
from zoo.catalogue.entry import ModelEntry
from zoo.engine.memory import trim
from zoo.engine.predictor import MODEL_FILE, Predictor
from zoo.engine.session import Array, Session
from zoo.errors import ParityFailed, ZooError

# Largest difference, for outputs up to 10; larger ones may differ by as much more. Float32 keeps seven digits, and a
# deep convolutional network loses two of them (ResNet-50 with logits around 83: 4.6e-5).
TOLERANCE = 1e-4
SCALE = 10.0
ROWS = (1, 2, 5)  # other than those of the export, where a dimension that was silently fixed shows
AT_ONCE = 32  # requests whose prepared inputs and answers are in memory together


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

    def __or__(self, other: Parity) -> Parity:
        """That of two graphs of one version."""
        rows = self.rows + other.rows
        same = (self.rows * self.argmax_agreement + other.rows * other.argmax_agreement) / rows
        worst, tolerance = max(self.max_abs_difference, other.max_abs_difference), max(self.tolerance, other.tolerance)
        return Parity(rows, worst, argmax_agreement=same, tolerance=tolerance)

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
    """The requests for the held-out rows, and how near what is served is to what torch answers.

    ``compare(place, row, body)``: the largest difference between a served row and torch's answer at that place, and
    whether what a client is told says the same. ``largest``: of torch's numbers, for the tolerance.
    """

    requests: Sequence[object]
    compare: Callable[[int, Any, object], tuple[float, bool]]
    largest: float = 0.0

    @classmethod
    def of_rows(cls, requests: Sequence[object], outputs: Tensor, agrees: Callable[[int, object], bool]) -> Expected:
        """For outputs (rows, …) that are compared as numbers; ``agrees(place, body)`` judges what a client is told."""
        trained = outputs.detach().numpy()

        def compare(place: int, row: Any, body: object) -> tuple[float, bool]:
            return difference(row, trained[place]), agrees(place, body)

        return cls(requests, compare, float(np.abs(trained).max()))


def prove(
    folder: Path,
    entry: ModelEntry,
    expected: Expected,
    *,
    threads: int,
    tick: Callable[[int, int], None] = lambda done, all_: None,
) -> Parity:
    """Run the folder as the server would and compare; raises ``ParityFailed`` unless every row agrees."""
    worst, agreed, count = 0.0, 0, len(expected.requests)
    with refusing():
        predictor = Predictor(entry, folder, threads=threads)
        for start in range(0, count, AT_ONCE):
            tick(start, count)
            places = range(start, min(start + AT_ONCE, count))
            served = predictor.answers([expected.requests[place] for place in places])
            for place, (row, body) in zip(places, served, strict=True):
                apart, same = expected.compare(place, row, body)
                worst, agreed = max(worst, apart), agreed + same
    return Parity(count, worst, argmax_agreement=agreed / count, tolerance=tolerance_of(expected.largest)).require()


@contextmanager
def refusing(fault: str = "The exported model cannot be run on what the trained one answers.") -> Iterator[None]:
    """Whatever keeps a folder from being loaded and run is a reason not to publish it."""
    try:
        yield
    except ParityFailed:
        raise
    except ZooError as error:
        raise ParityFailed(f"The exported model cannot be served: {error.message} Nothing was published.") from error
    except Exception as error:  # onnxruntime's own exception classes share no public base
        raise ParityFailed(f"{fault} Nothing was published.") from error


def difference(served: Any, trained: Any) -> float:
    """Largest difference of two arrays; raises ``ParityFailed`` for other shapes and for values that are no numbers."""
    if served.shape != trained.shape:
        shapes = f"{served.shape}, the trained one {trained.shape}"
        raise ParityFailed(f"The exported model answers {shapes}. Nothing was published.")
    if not np.isfinite(served).all() or not np.isfinite(trained).all():
        raise ParityFailed("The exported model answers with values that are no numbers. Nothing was published.")
    # Of two float32 that are near one another float32 tells the difference without an error, in half of the memory.
    exact = np.float32 if served.dtype == trained.dtype == np.float32 else np.float64
    apart = np.subtract(served, trained, dtype=exact)
    return float(np.abs(apart, out=apart).max(initial=0.0))


def tolerance_of(largest: float) -> float:
    """The largest difference that is allowed where torch's numbers are as large as that."""
    return TOLERANCE * max(1.0, largest / SCALE)


@dataclass(frozen=True)
class Answer:
    """One batch of inputs by name, and what torch answers to it: every output, rows first."""

    inputs: dict[str, Array]
    outputs: list[Array]


def answers_of(servable: Servable) -> list[Answer]:
    """All of ``each_answer``."""
    return list(each_answer(servable))


def each_answer(servable: Servable) -> Iterator[Answer]:
    """What torch answers on sizes other than those of the export; raises ``ParityFailed`` for one that it cannot run.

    For imports, where there are no rows of a user's: inputs are random, the largest size is the model's own limit.
    """
    with refusing("The checkpoint cannot be run on inputs as large as it is to be served with."), torch.no_grad():
        for place in range(max(len(ROWS), len(servable.sizes))):
            batch = servable.example(ROWS[place % len(ROWS)], servable.sizes[place % len(servable.sizes)])
            given = servable.module(**batch)
            outputs = given if isinstance(given, tuple) else (given,)
            inputs = {name: values.numpy() for name, values in batch.items()}
            yield Answer(inputs, [output.numpy() for output in outputs])


def prove_shapes(folder: Path, trained: Iterable[Answer], *, threads: int, file: str = MODEL_FILE) -> Parity:
    """Compare one graph of the folder with what torch answered; raises ``ParityFailed`` unless all of it agrees."""
    with refusing():
        return same_answers(_served(Session(folder / file, threads=threads, lean=True), trained))


def _served(session: Session, trained: Iterable[Answer]) -> Iterator[tuple[Answer, list[Array]]]:
    for answer in trained:
        yield answer, session.run(answer.inputs)
        del answer  # they are large: it goes before the next is read
        trim()


def same_answers(pairs: Iterable[tuple[Answer, Sequence[Array]]]) -> Parity:
    """Compare what torch answered with the same from elsewhere; raises ``ParityFailed`` unless all of it agrees."""
    worst, rows, same, most = 0.0, 0, 0, 0.0
    for answer, outputs in pairs:
        if len(outputs) != len(answer.outputs):
            message = f"The exported graph has {len(outputs)} outputs, the model {len(answer.outputs)}."
            raise ParityFailed(f"{message} Nothing was published.")
        for one, other in zip(outputs, answer.outputs, strict=True):
            worst = max(worst, difference(one, other))
            most = max(most, float(np.abs(other).max()))
        count = len(answer.outputs[0])
        rows += count
        same += _same(outputs[0].reshape(count, -1), answer.outputs[0].reshape(count, -1))
        del answer, outputs
    return Parity(rows, worst, argmax_agreement=same / rows, tolerance=tolerance_of(most)).require()


def _same(served: Any, trained: Any) -> int:
    """Rows whose largest value stands at the same place, or at one that torch rates as high but for the tolerance."""
    return sum(
        float(other[int(row.argmax())]) >= float(other.max()) - tolerance_of(float(np.abs(other).max()))
        for row, other in zip(served, trained, strict=True)
    )
