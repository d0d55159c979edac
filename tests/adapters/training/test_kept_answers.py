"""Answers that wait on disk until they are compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from adapters.training.gate import Answer
from adapters.training.kept_answers import KeptAnswers


def test_kept_answers_are_read_as_often_as_they_are_asked_for(tmp_path: Path) -> None:
    given = [
        Answer({"output 0": np.arange(3, dtype=np.int64), "x": np.ones((2, 1), np.float32)}, [np.zeros((2, 3))]),
        Answer({"mask": np.array([True, False])}, [np.full(1, place, np.float32) for place in range(12)]),
    ]
    kept = KeptAnswers(iter(given), tmp_path / "answers")
    for _ in range(2):
        for answer, found in zip(given, kept, strict=True):
            assert list(answer.inputs) == list(found.inputs)
            both = (*answer.inputs.values(), *answer.outputs), (*found.inputs.values(), *found.outputs)
            for one, other in zip(*both, strict=True):
                np.testing.assert_array_equal(one, other, strict=True)
    assert [answer.outputs[-1].tolist() for answer in kept[1:]] == [[11.0]]
