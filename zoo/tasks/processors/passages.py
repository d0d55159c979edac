"""A text that is longer than a model reads at once, in passages of whole sentences."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

# Where a text may be cut, the best places first: ends of sentences and lines, of clauses, of words. A run of stops or
# spaces is read once, from its beginning: without that 99,000 dots took minutes.
_CUTS = (
    re.compile(r"""(?<![.!?…])[.!?…]++["'”’»)\]]*+\s++|[。！？]++["”’」』）]*+\s*+|(?<!\s)[^\S\n]*+\n\s*+"""),
    re.compile(r"[,;:–—]\s+|[，、；：]\s*"),
    re.compile(r"\s+"),
)
# Stops that end no sentence: behind a letter or a short number that stands alone, and what is mostly written short.
_SHORT = re.compile(
    r"\W*(?:[^\W\d_I]|\d{1,2}|(?:[^\W\d_]\.)+[^\W\d_]|"
    r"bzw|ca|co|dr|etc|evtl|fr|geb|ggf|hr|inkl|jr|mr|mrs|ms|nr|prof|sr|st|str|usw|vgl|vs)\.",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Passage:
    """A part of a text, and the space between it and the next one."""

    text: str
    gap: str


def passages(text: str, count: Callable[[str], int], most: int) -> list[Passage]:
    """The whole text in parts that ``count`` says to have at most ``most`` tokens, as few as sentences allow.

    Only a sentence that is too long itself is cut inside, at a clause or between two words, and only a word that is too
    long between two letters.
    """
    found: list[Passage] = []
    part, size = "", 0
    for piece, tokens in _pieces(text, count, most, 0):
        if part and size + tokens > most:
            found.append(_passage(part))
            part, size = "", 0
        part, size = part + piece, size + tokens
    found.append(_passage(part))
    return [passage for passage in found if passage.text]


def sentences(text: str) -> list[str]:
    """The whole text in parts that end where sentences or lines do; joined they are the text.

    A stop behind what looks like an abbreviation or an ordinal number, before a small letter or before more stops, ends
    none.
    """
    found: list[list[str]] = []
    for piece in _cut(text, _CUTS[0]):
        if not found or _ends(found[-1][-1], piece):
            found.append([piece])
        else:
            found[-1].append(piece)
    return ["".join(pieces) for pieces in found]


def _ends(part: str, following: str) -> bool:
    words = part.split()
    if not words or "\n" in part[len(part.rstrip()) :]:
        return True
    says = any(map(str.isalnum, following))  # of stops alone a model makes words
    return says and not following[:1].islower() and not _SHORT.fullmatch(words[-1])


def _pieces(text: str, count: Callable[[str], int], most: int, level: int) -> Iterator[tuple[str, int]]:
    """Pieces that joined are the text, and the tokens of each."""
    for piece in _cut(text, _CUTS[level]):
        tokens = count(piece)
        if tokens <= most:
            yield piece, tokens
        elif level + 1 < len(_CUTS):
            yield from _pieces(piece, count, most, level + 1)
        else:
            yield from _letters(piece, tokens, count, most)


def _letters(word: str, tokens: int, count: Callable[[str], int], most: int) -> Iterator[tuple[str, int]]:
    """A word in parts; of a single letter that is too long there are no parts."""
    size = max(1, min(len(word) - 1, len(word) * most // tokens))
    for start in range(0, len(word), size):
        part = word[start : start + size]
        here = count(part)
        if here <= most or len(part) == 1:
            yield part, min(here, most)
        else:
            yield from _letters(part, here, count, most)


def _cut(text: str, places: re.Pattern[str]) -> Iterator[str]:
    start = 0
    for match in places.finditer(text):
        yield text[start : match.end()]
        start = match.end()
    if start < len(text):
        yield text[start:]


def _passage(part: str) -> Passage:
    ended = part.rstrip()
    return Passage(ended.lstrip(), part[len(ended) :] or " ")
