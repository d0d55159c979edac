"""What peft answers to requests as clients send them: for adapters that come without anybody's rows."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer

from adapters.training.form import Form
from adapters.training.gate import TOLERANCE, Expected, difference
from adapters.training.recipe import Servable
from zoo.catalogue.entry import ModelEntry
from zoo.errors import ArtifactCorrupt
from zoo.tasks.task import Array, Bundle, Run, load_task

_SCORE = {"label", "score"}
LENGTHS = (1, 2, 3, 5, 8, 12, 17, 24, 33, 48)  # tokens of the texts that are asked; the longest are as the model allows


def expected_of(form: Form, asked: Servable, entry: ModelEntry, folder: Path) -> Expected:
    """Random texts from the vocabulary in ``folder``, short ones and the longest that the model takes, and the answers
    that ``asked`` gives to them in the place of a graph."""
    task, runs = load_task(entry, folder), _TorchRuns(asked)
    options = task.parameters({})
    requests = _requests(form, folder, limit=entry.limits["max_tokens"])
    rows: list[Any] = []
    bodies: list[object] = []
    for request in requests:
        item = task.preprocess(request, options)
        found = task.run(list(item.rows) if isinstance(item, Bundle) else [item], runs)
        rows.append(found if isinstance(item, Bundle) else found[0])
        bodies.append(task.respond([task.postprocess(rows[-1], item, options)], False))

    def compare(place: int, row: Any, body: object) -> tuple[float, bool]:
        pairs = zip(_parts(row), _parts(rows[place]), strict=True)
        return max(difference(one, other) for one, other in pairs), alike(body, bodies[place])

    largest = max(float(np.abs(part).max(initial=0.0)) for row in rows for part in _parts(row))
    return Expected(requests, compare, largest)


def alike(one: Any, other: Any) -> bool:
    """Whether two answers say the same, numbers within the gate's tolerance; labels of equal scores in any order."""
    one, other = _by_label(one), _by_label(other)
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, Sequence) and isinstance(other, Sequence) and not isinstance(one, str):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= TOLERANCE * max(1.0, abs(other))
    return bool(one == other)


def _by_label(answer: Any) -> Any:
    """Scores by their labels, where an answer is a list of those."""
    if isinstance(answer, list) and answer and all(isinstance(part, dict) and {*part} == _SCORE for part in answer):
        return {part["label"]: part["score"] for part in answer}
    return answer


def _requests(form: Form, folder: Path, *, limit: int) -> list[object]:
    tokenizer, draw = Tokenizer.from_file(str(folder / "tokenizer.json")), random.Random(0)
    size = tokenizer.get_vocab_size()

    def text(length: int) -> str:
        return tokenizer.decode([draw.randrange(size) for _ in range(length)]).strip() or "text"

    lengths = [*(length for length in LENGTHS if length < limit), limit, 2 * limit]
    return [form.request(text(length), text(min(length, 12))) for length in lengths]


def _parts(row: Any) -> Sequence[Array]:
    """An answer's arrays: one, or one for each window of a long text."""
    return row if isinstance(row, list) else [row]


class _TorchRuns:
    """A torch module in the place of a version's graph; see ``zoo.tasks.task.Runs``."""

    def __init__(self, servable: Servable) -> None:
        self._servable = servable

    def __call__(self, feeds: Mapping[str, Array], outputs: Sequence[str] | None = None) -> list[Array]:
        with torch.no_grad():
            answer = self._servable.module(**{name: torch.from_numpy(feeds[name]) for name in self._servable.inputs})
        return [answer.numpy()]

    def __getitem__(self, graph: str) -> Run:
        raise ArtifactCorrupt(f"There is no {graph}.onnx.")
