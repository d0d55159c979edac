"""Pieces that overlap follow one another without their margins."""

from __future__ import annotations

import numpy as np
import pytest

from zoo.tasks.processors.overlaps import overlapping


@pytest.mark.parametrize("length", [1, 9, 10, 11, 17, 40])
@pytest.mark.parametrize("part", [1, 4, 100])
@pytest.mark.parametrize(("left", "right"), [(2, 3), (0, 0), (0, 4), (5, 0)])
def test_without_margins_they_are_the_recording(length: int, part: int, left: int, right: int) -> None:
    samples = np.arange(length, dtype=np.float32)
    parts = [samples[start : start + part] for start in range(0, length, part)]
    pieces = list(overlapping(parts, 10, left, right))
    own = [piece.samples[piece.left : len(piece.samples) - piece.right] for piece in pieces]
    np.testing.assert_array_equal(np.concatenate(own), samples)
    assert all(len(piece.samples) == 10 for piece in pieces[:-1])
    assert (pieces[0].left, pieces[-1].right) == (0, 0)


def test_a_margin_holds_what_stands_beside() -> None:
    first, second, last = overlapping([np.arange(18, dtype=np.float32)], 10, 2, 3)
    assert (first.samples[-3:].tolist(), first.right) == ([7, 8, 9], 3)
    assert (second.samples[:2].tolist(), second.left) == ([5, 6], 2)
    assert last.samples.tolist() == [10, 11, 12, 13, 14, 15, 16, 17]
