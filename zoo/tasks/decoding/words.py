"""Words of a segment, with their times: tokens put together as OpenAI's Whisper does it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from string import punctuation

from zoo.tasks.decoding.transcript import Segment, Word

UNSPACED = frozenset({"zh", "ja", "th", "lo", "my", "yue"})
BEFORE = "\"'“¡¿([{-"  # what belongs to the word behind it
BEHIND = "\"'.。,，!！?？:：”)]}、"
UNFINISHED = "\ufffd"  # what part of a letter is decoded to
Piece = tuple[str, float, float]


def words_of(segment: Segment, decode: Callable[[Sequence[int]], str], language: str | None) -> list[Word]:
    """Joined they are the segment's text; there is none where the tokens have no times."""
    pieces = list(_letters(segment, decode))
    if language not in UNSPACED:
        pieces = _spaced(pieces)
    return [Word(text, start, end) for text, start, end in _punctuated(pieces)]


def _letters(segment: Segment, decode: Callable[[Sequence[int]], str]) -> Iterator[Piece]:
    """The fewest tokens in a row that are whole letters each."""
    whole, place, begun = decode(segment.tokens), 0, 0
    for number in range(len(segment.times)):
        text = decode(segment.tokens[begun : number + 1])
        broken = place + text.find(UNFINISHED)
        if UNFINISHED not in text or broken >= len(whole) or whole[broken] == UNFINISHED:
            yield text, segment.times[begun][0], segment.times[number][1]
            begun, place = number + 1, place + len(text)


def _spaced(pieces: Sequence[Piece]) -> list[Piece]:
    """A word begins with a space, or is a sign of punctuation."""
    found: list[Piece] = []
    for text, start, end in pieces:
        if not found or text.startswith(" ") or text.strip() in punctuation:
            found.append((text, start, end))
        else:
            found[-1] = (found[-1][0] + text, found[-1][1], end)
    return found


def _punctuated(pieces: Sequence[Piece]) -> list[Piece]:
    """Signs join the word that they belong to."""
    behind: list[Piece] = []
    for text, start, end in reversed(pieces):
        if behind and text.startswith(" ") and text.strip() in BEFORE:
            behind[-1] = (text + behind[-1][0], start, behind[-1][2])
        else:
            behind.append((text, start, end))
    found: list[Piece] = []
    for text, start, end in reversed(behind):
        if found and not found[-1][0].endswith(" ") and text in BEHIND:
            found[-1] = (found[-1][0] + text, found[-1][1], end)
        else:
            found.append((text, start, end))
    return found
