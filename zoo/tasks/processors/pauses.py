"""Where a long recording is cut: at its quietest moments, so that no word is in two pieces; pauses are left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

STEP = 0.02  # seconds of which the loudness is taken
QUIET = 15  # of them, around a cut: 0.3 s, longer than the gaps inside of words
LEAST = 0.6  # of the longest piece: no cut is made before
# A pause is long, far below what is loud, and even: of speech, however soft, some steps are many times others' energy.
PAUSE = 2.0  # seconds
BELOW = 0.01  # of the energy of the loudest 0.3 s so far: 20 dB
EVEN = 4.0  # times the energy of the middle one: 6 dB; of white noise no step has 1.5 times
KEPT = 0.3  # seconds of a pause at either end


Stretch = tuple[int, NDArray[np.float32]]
"""The sample at which a piece starts, and its samples."""


def stretches(
    parts: Iterable[NDArray[np.float32]],
    rate: int,
    seconds: float,
    *,
    aim: float | None = None,
    first: float | None = None,
) -> Iterator[Stretch]:
    """A recording that comes in parts, whole if it is no longer than ``seconds``, else in pieces of at most ``aim``.

    They follow one another, and between them nothing but pauses is left out; what is left at the end may be as long as
    ``seconds``. Little more than one piece is held. ``first``: at most so many seconds of the first piece, however
    short the whole.
    """
    hop, whole, most = int(STEP * rate), int(seconds * rate), int((aim or seconds) * rate)
    room = whole
    if first is not None:
        room, most = int(first * rate), min(most, int(first * rate))
    start, kept, loud = 0, np.empty(0, np.float32), 0.0
    for part in parts:
        kept = np.concatenate([kept, part]) if len(kept) else part
        while len(kept) > room:
            energy = _energy(kept[:most], hop)
            loud = max(loud, float(_around(energy).max()) / QUIET)
            begin, end = (step * hop for step in _pause(energy, BELOW * loud))
            if end and begin <= KEPT * rate:  # it begins with a pause, of which a little stays before what follows
                skipped = end - int(KEPT * rate)
                start, kept = start + skipped, kept[skipped:]
                continue
            least = int(LEAST * most)
            cut = begin + int(KEPT * rate) if end else least + _quietest(kept[least:most], hop)
            yield start, kept[:cut]
            start, kept, room, most = start + cut, kept[cut:], whole, int((aim or seconds) * rate)
    yield start, kept


def _pause(energy: NDArray[np.float32], quiet: float) -> tuple[int, int]:
    """The first run of steps below ``quiet`` of which any two seconds are even: its first, and the one behind it.

    (0, 0) if there is none.
    """
    length = round(PAUSE / STEP)
    if not quiet or len(energy) < length:
        return 0, 0
    windows = np.lib.stride_tricks.sliding_window_view(energy, length)
    loudest = windows.max(axis=1)
    even = (loudest <= quiet) & (loudest <= EVEN * np.median(windows, axis=1))
    if not even.any():
        return 0, 0
    begin = int(even.argmax())
    more = int(even[begin:].argmin()) or len(even) - begin
    return begin, begin + more - 1 + length


def _quietest(samples: NDArray[np.float32], hop: int) -> int:
    """The middle of the quietest stretch; of equal ones the last."""
    around = _around(_energy(samples, hop))
    return (len(around) - 1 - int(around[::-1].argmin()) + QUIET // 2) * hop + hop // 2


def _energy(samples: NDArray[np.float32], hop: int) -> NDArray[np.float32]:
    """Mean square of each step."""
    squares = np.square(samples[: len(samples) // hop * hop], dtype=np.float32)
    return np.asarray(squares.reshape(-1, hop).mean(axis=1), dtype=np.float32)


def _around(energy: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sums of ``QUIET`` steps."""
    return np.convolve(energy, np.ones(QUIET, np.float32), mode="valid")
