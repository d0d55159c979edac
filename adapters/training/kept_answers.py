"""What torch answered, kept on disk: it is needed again when torch's weights are gone and ONNX Runtime's are there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import overload

import numpy as np

from adapters.training.gate import Answer


class KeptAnswers(Sequence[Answer]):
    """Answers that are read from ``folder`` one at a time, whenever they are asked for.

    Those of Whisper-base, with keys and values for whole windows, are as large as its 290 MB of weights.
    """

    def __init__(self, answers: Iterable[Answer], folder: Path) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self._count = 0
        for answer in answers:
            inputs = {f"input {name}": values for name, values in answer.inputs.items()}
            outputs = {f"output {place}": values for place, values in enumerate(answer.outputs)}
            np.savez(self._path(self._count), **inputs, **outputs)  # type: ignore[arg-type]  # a flag stands beside the arrays
            self._count += 1

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, place: int) -> Answer: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Answer]: ...

    def __getitem__(self, place: int | slice) -> Answer | Sequence[Answer]:
        if isinstance(place, slice):
            return [self[one] for one in range(self._count)[place]]
        with np.load(self._path(range(self._count)[place]), allow_pickle=False) as kept:
            names = [name.removeprefix("input ") for name in kept if name.startswith("input ")]
            count = sum(name.startswith("output ") for name in kept)
            inputs = {name: kept[f"input {name}"] for name in names}
            return Answer(inputs, [kept[f"output {output}"] for output in range(count)])

    def _path(self, place: int) -> Path:
        return self._folder / f"{place}.npz"
