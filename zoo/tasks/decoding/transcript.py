"""What was said: the tokens of one window with their figures, and the segments that they make."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from zoo.tasks.decoding.whisper_tokens import Token, WhisperTokens

SECONDS = 0.02  # a time token


@dataclass(frozen=True)
class Spoken:
    """What was heard in one window. ``mean`` is the mean logarithm of a token's probability; ``compression`` how many
    times shorter the text gets by zlib: above 2.4 it repeats itself. ``silent``: no speech by Whisper's rule. The window
    reaches from ``start`` to ``end``, in seconds of the recording. ``moments``: when each token is over, in seconds of
    the window, where they were looked for."""

    tokens: tuple[int, ...]
    mean: float
    compression: float
    no_speech: float
    temperature: float
    silent: bool
    language: str | None = None
    start: float = 0.0
    end: float = 0.0
    moments: tuple[float, ...] = ()


@dataclass(frozen=True)
class Segment:
    """Text with its start and end in seconds of the recording; ``window`` is where its window starts.

    ``times`` of each token, start and end, as ``Spoken.moments`` says.
    """

    text: str
    start: float
    end: float
    tokens: tuple[int, ...]
    spoken: Spoken
    window: float = 0.0
    times: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Word:
    """A word with its start and end in seconds of the recording."""

    text: str
    start: float
    end: float


@dataclass(frozen=True)
class Transcript:
    """All of a recording, or a stretch of it that ends after ``seconds``; ``language`` as its code (``en``)."""

    text: str
    segments: tuple[Segment, ...]
    seconds: float = 0.0
    language: str | None = None
    words: tuple[Word, ...] = ()


def joined(stretches: Sequence[Transcript]) -> Transcript:
    """The transcript of a recording from those of its stretches, in order; there is at least one."""
    segments = tuple(segment for stretch in stretches for segment in stretch.segments)
    return Transcript(
        text="".join(segment.text for segment in segments).strip(),
        segments=segments,
        seconds=stretches[-1].seconds,
        language=next((stretch.language for stretch in stretches if stretch.language), None),
        words=tuple(word for stretch in stretches for word in stretch.words),
    )


def segments(
    spoken: Spoken, ids: WhisperTokens, decode: Callable[[Sequence[int]], str], *, start: float, end: float
) -> list[Segment]:
    """A segment for each pair of times; one for all where there are none. Those without text are left out."""
    found: list[Segment] = []
    began, text, times = start, list[Token](), list[tuple[float, float]]()
    moments = [round(min(end, start + moment), 2) for moment in spoken.moments]
    spans = zip([round(start, 2), *moments], moments, strict=False)

    def segment(end: float) -> Segment:
        heard = round(began, 2), round(max(began, end), 2)
        return Segment(decode(text), *heard, tuple(text), spoken, window=round(start, 2), times=tuple(times))

    for token in spoken.tokens:
        span = next(spans, None)
        if token < ids.end:
            text.append(token)
            times += [span] if span else []
        elif token >= ids.first_time:
            moment = min(end, start + (token - ids.first_time) * SECONDS)
            if text:
                found.append(segment(moment))
                text, times = [], []
            began = moment
    if text:
        found.append(segment(end))
    return [one for one in found if one.text.strip()]
