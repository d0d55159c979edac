"""Long recordings are cut in pauses, into pieces that follow one another without gap."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from zoo.tasks.processors.pauses import stretches

RATE = 16_000


def speech(seconds: float, *pauses: float) -> NDArray[np.float32]:
    """Noise with half a second of near silence from each of ``pauses`` on."""
    samples = np.random.default_rng(1).normal(0, 0.1, int(RATE * seconds)).astype(np.float32)
    for pause in pauses:
        samples[int(RATE * pause) : int(RATE * (pause + 0.5))] *= 0.001
    return samples


def pieces(samples: NDArray[np.float32], seconds: float) -> list[tuple[int, int]]:
    """Start and end of each stretch."""
    return [(start, start + len(piece)) for start, piece in stretches([samples], RATE, seconds)]


@pytest.mark.parametrize("seconds", [0.001, 5.0, 30.0])
def test_what_fits_is_one_piece(seconds: float) -> None:
    assert pieces(speech(seconds), 30.0) == [(0, int(RATE * seconds))]


def test_cuts_fall_into_the_pauses() -> None:
    cuts = [start / RATE for start, _ in pieces(speech(70.0, 10.0, 22.0, 45.0), 30.0)]
    assert len(cuts) == 3
    assert 22.1 < cuts[1] < 22.4
    assert 45.1 < cuts[2] < 45.4


@pytest.mark.parametrize("seconds", [31.0, 95.3, 200.0])
def test_nothing_is_lost_doubled_or_too_long(seconds: float) -> None:
    found = pieces(speech(seconds), 30.0)
    assert found[0][0] == 0
    assert found[-1][1] == int(RATE * seconds)
    assert all(before[1] == after[0] for before, after in zip(found, found[1:], strict=False))
    assert all(0 < end - start <= 30 * RATE for start, end in found)


def test_silence_is_cut_as_late_as_can_be() -> None:
    (_, cut), _ = pieces(np.zeros(RATE * 40, np.float32), 30.0)
    assert 29.5 < cut / RATE <= 30


@pytest.mark.parametrize("seconds", [30.0, 31.0, 95.3, 200.0])
def test_what_is_too_long_is_cut_into_pieces_as_long_as_is_aimed_at(seconds: float) -> None:
    samples = speech(seconds)
    ends = [start + len(piece) for start, piece in stretches([samples], RATE, 30.0, aim=15.0)]
    lengths = np.diff([0, *ends]) / RATE
    assert ends[-1] == len(samples)
    assert (len(ends) == 1) == (seconds <= 30)
    assert (lengths[:-1] <= 15).all() and lengths[-1] <= 30


@pytest.mark.parametrize("part", [1_000, 40_000, 480_000, 10_000_000])
def test_a_recording_that_comes_in_parts_is_cut_at_the_same_places(part: int) -> None:
    samples = speech(95.3, 22.0, 45.0)
    parts = [samples[start : start + part] for start in range(0, len(samples), part)]
    found = list(stretches(parts, RATE, 30.0))
    assert [(start, start + len(piece)) for start, piece in found] == pieces(samples, 30.0)
    assert np.array_equal(np.concatenate([piece for _, piece in found]), samples)


def test_the_first_piece_may_be_shorter() -> None:
    starts = [start / RATE for start, _ in stretches([speech(70.0, 8.0, 30.0)], RATE, 30.0, first=10.0)]
    assert 8.1 < starts[1] < 8.4
    assert 30.1 < starts[2] < 30.4


def soft(samples: NDArray[np.float32], *pauses: tuple[float, float], level: float) -> NDArray[np.float32]:
    """Noise of another level from each of ``pauses`` to its end, in seconds."""
    draw = np.random.default_rng(2)
    for begin, end in pauses:
        part = slice(int(RATE * begin), int(RATE * end))
        samples[part] = draw.normal(0, level, part.stop - part.start)
    return samples


@pytest.mark.parametrize("level", [0.0, 0.003])
def test_of_a_long_pause_a_little_stays_at_either_end(level: float) -> None:
    samples = soft(speech(80.0), (10.0, 25.0), (40.0, 75.0), level=level)
    found = [(start / RATE, (start + len(piece)) / RATE) for start, piece in stretches([samples], RATE, 30.0)]
    assert found[0] == (0.0, 10.3)
    assert found[1] == (24.7, 40.3)
    assert found[2] == (70.0, 80.0)  # what is left at the end is one piece


def test_soft_speech_between_loud_stretches_is_kept() -> None:
    samples = soft(speech(60.0), (10.0, 40.0), level=0.002)
    for syllable in np.arange(10.0, 40.0, 0.4):  # four times as loud for a tenth of a second
        samples[int(RATE * syllable) : int(RATE * (syllable + 0.1))] *= 4
    found = pieces(samples, 30.0)
    assert all(before[1] == after[0] for before, after in zip(found, found[1:], strict=False))


def test_a_recording_without_any_sound_is_kept() -> None:
    found = pieces(np.zeros(RATE * 70, np.float32), 30.0)
    assert found[0][0] == 0 and found[-1][1] == RATE * 70


@pytest.mark.parametrize("part", [1_000, 480_000])
def test_pauses_are_left_out_at_the_same_places_however_the_recording_comes(part: int) -> None:
    samples = soft(speech(80.0), (10.0, 25.0), (40.0, 75.0), level=0.003)
    parts = [samples[start : start + part] for start in range(0, len(samples), part)]
    found = [(start, start + len(piece)) for start, piece in stretches(parts, RATE, 30.0)]
    assert found == pieces(samples, 30.0)
