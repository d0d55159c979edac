"""What is said in clips: words, letters, how fast, and which clips cannot hold what their transcript says."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from adapters.datasets.fold import fold
from adapters.datasets.report import Lengths, Spread, Transcripts
from adapters.datasets.sounds.fact import ClipFact

# On 483 sentences of one reader, letters a second of what is spoken lay between .63 and 1.35 of the median.
ODD = 1.75
ODD_GROUP = 1.5  # of the median of three clips or more with a rate of their own
LEAST_LETTERS = 20  # "Ah, indeed." was spoken at a third of the usual speed
LEAST_CLIPS = 5
SHOWN_LETTERS = 200
RATES = (8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000)


class Spoken(NamedTuple):
    """One clip and its transcript."""

    file: str
    text: str
    fact: ClipFact

    @property
    def letters(self) -> int:
        """Letters and digits of the transcript."""
        return sum(character.isalnum() for character in self.text)


class Odd(NamedTuple):
    """A clip that seems ``factor`` times as fast as others; at ``fitting`` samples a second it would not, if not 0."""

    file: str
    factor: float
    rate: int
    fitting: int


def transcripts_of(clips: Sequence[Spoken]) -> dict[str, object]:
    """The report's ``lengths`` and ``transcripts``."""
    words = Counter(word for clip in clips for word in fold(clip.text).split())
    letters = Counter(character for clip in clips for character in clip.text if not character.isspace())
    timed = [clip for clip in clips if clip.fact.seconds > 0]
    return {
        "lengths": Lengths(
            characters=Spread.of(Counter(len(clip.text) for clip in clips)),
            words=Spread.of(Counter(len(clip.text.split()) for clip in clips)),
        ),
        "transcripts": Transcripts(
            words=words.total(),
            vocabulary=len(words),
            once=sum(count == 1 for count in words.values()),
            characters=len(letters),
            alphabet="".join(sorted(letters))[:SHOWN_LETTERS],
            words_per_minute=Spread.of(
                Counter(round(60 * len(clip.text.split()) / clip.fact.seconds) for clip in timed)
            ),
            letters_per_minute=Spread.of(Counter(round(60 * clip.letters / clip.fact.seconds) for clip in timed)),
        ),
    }


def odd_ones(clips: Sequence[Spoken]) -> list[Odd]:
    """Clips far faster or slower than most: the transcript is another's, or the header says a wrong sample rate.

    Clips that share a rate other than the usual one are judged together, for together they vary less.
    """
    speeds = {
        clip.file: clip.letters / clip.fact.spoken
        for clip in clips
        if clip.letters >= LEAST_LETTERS and clip.fact.spoken > 0
    }
    if len(speeds) < LEAST_CLIPS:
        return []
    rates: dict[int, list[Spoken]] = defaultdict(list)
    for clip in clips:
        if clip.file in speeds:
            rates[clip.fact.rate].append(clip)
    usual = max(rates.values(), key=len)
    middle = median(speeds[clip.file] for clip in usual)
    found = []
    for group in rates.values():
        together = median(speeds[clip.file] for clip in group) / middle
        all_odd = group is not usual and len(group) >= 3 and _is_beyond(together, ODD_GROUP)
        for clip in group:
            factor = speeds[clip.file] / middle
            if all_odd or _is_beyond(factor, ODD):
                fitting = _fitting(clip.fact.rate, together if all_odd else factor)
                found.append(Odd(clip.file, factor, clip.fact.rate, fitting))
    return found


def _is_beyond(factor: float, bound: float) -> bool:
    return abs(math.log(factor)) > math.log(bound)


def _fitting(rate: int, factor: float) -> int:
    """The common rate under which a clip that seems ``factor`` times too fast would be as fast as others, or 0."""
    best = min(RATES, key=lambda other: abs(math.log(rate / factor / other)))
    return best if best != rate and not _is_beyond(rate / factor / best, 1.2) else 0
