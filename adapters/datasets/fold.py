"""When two texts are the same: case, width, spaces (strictly) and also punctuation (loosely) do not count."""

from __future__ import annotations

import re
import unicodedata
from hashlib import blake2b

_MARKS = re.compile(r"[^\w\s]|_")
# Python orders combining marks in a time that grows with the square of their number: 32,000 behind one letter took
# 2 s. So a run of more than 30 is cut, as in Unicode's stream-safe text format; no language writes so many.
_MOST_COMBINING, _CUT = 30, "\u034f"
_RUN = re.compile(r"(?:[^\x00-\x7f\w\s]|[\uff9e\uff9f]){31,}")  # whatever may be one
_DECOMPOSED_TO_COMBINING = frozenset("\u0f73\u0f75\u0f81\uff9e\uff9f")  # not combining by themselves


def fold_strictly(text: str) -> str:
    """NFKC, casefolded, spaces collapsed; punctuation still counts."""
    return " ".join(_normalized(_normalized(text).casefold()).split())


def fold(text: str) -> str:
    """As ``fold_strictly``, and punctuation counts as space; a text of punctuation alone stays as it is."""
    return fold_marks(fold_strictly(text))


def fold_marks(strict: str) -> str:
    """The second half of ``fold``, for a text that is strictly folded already."""
    loose = _MARKS.sub(_mark, strict)
    return (" ".join(loose.split()) or strict) if loose is not strict else strict


def digest(text: str, *, key: bytes = b"") -> int:
    """64 bits of a text, the same in every process."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8, key=key).digest(), "big")


def _normalized(text: str) -> str:
    """NFKC, in a time that grows with the length alone."""
    return text if text.isascii() else unicodedata.normalize("NFKC", _RUN.sub(_cut, text))


def _cut(match: re.Match[str]) -> str:
    pieces: list[str] = []
    count = 0
    for character in match[0]:
        combines = unicodedata.combining(character) or character in _DECOMPOSED_TO_COMBINING
        count = count + 1 if combines else 0
        if count > _MOST_COMBINING:
            pieces.append(_CUT)
            count = 1
        pieces.append(character)
    return "".join(pieces)


def _mark(match: re.Match[str]) -> str:
    # signs that carry meaning (combining vowels, emoji, currency, arithmetic) stay; ``\w`` leaves the first of them out
    mark = match[0]
    return " " if unicodedata.category(mark)[0] in "PCZ" else mark
