"""What was said: the tokens of one window with their figures, and the segments that they make."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from zoo.tasks.decoding.whisper_tokens import WhisperTokens

SECONDS = 0.02  # a time token


@dataclass(frozen=True)
class Spoken:
    """What was heard in one window. ``mean`` is the mean logarithm of a token's probability; ``compression`` how many
    times shorter the text gets by zlib: above 2.4 it repeats itself. ``silent``: no speech by Whisper's rule."""

    tokens: tuple[int, ...]
    mean: float
    compression: float
    no_speech: float
    temperature: float
    silent: bool
    language: str | None = None


@dataclass(frozen=True)
class Segment:
    """Text with its start and end in seconds of the recording."""

    text: str
    start: float
    end: float
    tokens: tuple[int, ...]
    spoken: Spoken


@dataclass(frozen=True)
class Transcript:
    """All of a recording."""

    text: str
    segments: tuple[Segment, ...]


def segments(
    spoken: Spoken, ids: WhisperTokens, decode: Callable[[Sequence[int]], str], *, start: float, end: float
) -> list[Segment]:
    """A segment for each pair of times; one for all where there are none. Those without text are left out."""
    found: list[Segment] = []
    began, text = start, []
    for token in spoken.tokens:
        if token < ids.end:
            text.append(token)
        elif token >= ids.first_time:
            moment = min(end, start + (token - ids.first_time) * SECONDS)
            if text:
                found.append(_segment(spoken, text, decode, began, moment))
                text = []
            began = moment
    if text:
        found.append(_segment(spoken, text, decode, began, end))
    return [segment for segment in found if segment.text.strip()]


def _segment(
    spoken: Spoken, text: Sequence[int], decode: Callable[[Sequence[int]], str], start: float, end: float
) -> Segment:
    return Segment(decode(text), round(start, 2), round(max(start, end), 2), tuple(text), spoken)
