"""When two texts are the same: case, width, spaces (strictly) and also punctuation (loosely) do not count."""

from __future__ import annotations

import re
import unicodedata
from hashlib import blake2b

_MARKS = re.compile(r"[^\w\s]|_")


def fold_strictly(text: str) -> str:
    """NFKC, casefolded, spaces collapsed; punctuation still counts."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    text = text.casefold()
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return " ".join(text.split())


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


def _mark(match: re.Match[str]) -> str:
    # signs that carry meaning (combining vowels, emoji, currency, arithmetic) stay; ``\w`` leaves the first of them out
    mark = match[0]
    return " " if unicodedata.category(mark)[0] in "PCZ" else mark
