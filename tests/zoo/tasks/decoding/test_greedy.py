"""Greedy search: the likeliest token until the end, each row by itself, whatever its neighbours do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from zoo.tasks.decoding.cached_decoder import CachedDecoder, Floats, Ids
from zoo.tasks.decoding.greedy import Limits, greedy
from zoo.tasks.task import Array

END, VOCABULARY = 0, 8


class Script:
    """A decoder that says one line for each row of the batch; its cache counts the tokens that it has seen."""

    def __init__(self, *lines: Sequence[int]) -> None:
        self.lines = lines
        self.rows: list[int] = []

    def __call__(self, feeds: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        assert outputs == ("logits", "new_key_0")
        past = feeds["past_key_0"]
        batch, group, new = feeds["tokens"].shape
        self.rows.append(batch)
        seen = past.shape[3] + new
        logits = np.zeros((batch, group, len(feeds["at"]), VOCABULARY), np.float32)
        for row, line in enumerate(np.asarray(feeds["line"])):
            said = [*self.lines[line], END]
            logits[row, :, :, said[min(seen - 1, len(said) - 1)]] = 5.0
        return [logits, np.concatenate([past, np.zeros((batch, group, 1, new, 1), np.float32)], axis=3)]


def free(written: Ids, logits: Floats) -> None:
    """No rule."""


def search(script: Script, most: int = 10, temperature: float = 0.0, seed: int = 0) -> list[tuple[int, ...]]:
    count = len(script.lines)
    decoder = CachedDecoder(script, {"line": np.arange(count)}, ["key_0"], (1, 1))
    logits = decoder.step(np.zeros((count, 1, 1), np.int64))[:, 0, 0]
    return [found.tokens for found in greedy(decoder, logits, Limits(END, [most] * count), free, temperature, seed)]


def test_every_row_says_its_own_line_and_stops_at_its_own_end() -> None:
    lines: tuple[list[int], ...] = ([3, 1, 4, 1, 5], [2], [7, 7, 2, 6], [])
    assert search(Script(*lines)) == [tuple(line) for line in lines]


def test_rows_that_are_done_leave_the_batch_when_half_of_it_is() -> None:
    script = Script([1], [2], [3, 3, 3, 3, 3], [4, 4, 4, 4, 4])
    search(script)
    assert script.rows == [4, 4, 2, 2, 2, 2]


@pytest.mark.parametrize("most", [0, 1, 3])
def test_a_row_without_end_is_cut(most: int) -> None:
    assert search(Script([5] * 50), most) == [(5,) * most]


def test_scores_are_logarithms_of_probabilities_with_the_end() -> None:
    decoder = CachedDecoder(Script([3]), {"line": np.arange(1)}, ["key_0"], (1, 1))
    logits = decoder.step(np.zeros((1, 1, 1), np.int64))[:, 0, 0]
    (found,) = greedy(decoder, logits, Limits(END, [9]), free)
    assert found.ended
    assert found.score == pytest.approx(2 * -0.04610, abs=1e-4)  # ln(e^5 / (e^5 + 7))
    assert found.mean == pytest.approx(-0.04610, abs=1e-4)


def test_a_rule_forbids_what_it_sets_to_minus_infinity() -> None:
    def never_three(written: Ids, logits: Floats) -> None:
        logits[:, 3] = -np.inf

    decoder = CachedDecoder(Script([3, 4]), {"line": np.arange(1)}, ["key_0"], (1, 1))
    logits = decoder.step(np.zeros((1, 1, 1), np.int64))[:, 0, 0]
    (found,) = greedy(decoder, logits, Limits(END, [9]), never_three)
    assert 3 not in found.tokens


def test_a_temperature_draws_and_the_seed_decides() -> None:
    lines: NDArray[np.int64] = np.full((1, 6), 3)
    drawn = {search(Script(*lines.tolist()), temperature=8.0, seed=seed)[0] for seed in range(5)}
    assert len(drawn) > 1
    assert search(Script([3]), temperature=8.0, seed=1) == search(Script([3]), temperature=8.0, seed=1)


@pytest.mark.parametrize("phrase", [[3], [1, 2], [1, 1, 2, 5]])
def test_a_row_that_says_one_phrase_again_and_again_is_stopped_where_that_is_asked_for(phrase: list[int]) -> None:
    script = Script([6, *phrase * 30], [4, 2, 4])
    decoder = CachedDecoder(script, {"line": np.arange(2)}, ["key_0"], (1, 1))
    logits = decoder.step(np.zeros((2, 1, 1), np.int64))[:, 0, 0]
    caught, other = greedy(decoder, logits, Limits(END, [100, 100], loop=12), free)
    assert caught.tokens == (6, *phrase * 30)[:13] and not caught.ended
    assert other.tokens == (4, 2, 4) and other.ended
