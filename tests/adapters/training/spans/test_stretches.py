"""Which tokens of a text a reader is shown."""

from __future__ import annotations

import numpy as np
import pytest

from adapters.training.spans.stretches import around, beside


def test_an_answer_may_be_anywhere_in_what_is_shown() -> None:
    chance = np.random.default_rng(0)
    found = {around(100, (40, 42), 10, chance).start for _ in range(300)}
    assert found == set(range(33, 41))


@pytest.mark.parametrize(("answer", "starts"), [((0, 1), {0}), ((98, 99), {90}), ((20, 60), {20})])
def test_the_ends_of_a_text_are_respected(answer: tuple[int, int], starts: set[int]) -> None:
    chance = np.random.default_rng(0)
    found = [around(100, answer, 10, chance) for _ in range(50)]
    assert {stretch.start for stretch in found} == starts and {len(stretch) for stretch in found} == {10}


def test_a_short_text_is_shown_whole() -> None:
    assert around(7, (3, 3), 10, np.random.default_rng(0)) == range(7)


def test_what_is_beside_all_answers_holds_none() -> None:
    chance = np.random.default_rng(0)
    for _ in range(50):
        stretch = beside(100, [(30, 32), (31, 40)], 20, chance, least=1)
        assert stretch is not None and len(stretch) == 20 and stretch.start > 40 and stretch.stop <= 100
    assert beside(100, [(60, 99)], 90, chance, least=1) == range(60)


def test_too_little_beside_an_answer_is_not_shown() -> None:
    chance = np.random.default_rng(0)
    assert beside(20, [(8, 11)], 9, chance, least=9) is None
    assert beside(20, [(0, 19)], 9, chance, least=1) is None
