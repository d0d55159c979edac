"""Word and character error rate: how many changes turn what was heard into what was said."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from adapters.datasets.fold import fold

_KEPT = "'’"


def normalised(text: str) -> str:
    """In lower case, without punctuation, words apart by one space; an apostrophe inside a word leaves no gap."""
    for mark in _KEPT:
        text = text.replace(mark, "")
    folded = fold(text)
    return folded if any(character.isalnum() for character in folded) else ""


def speech_scores(heard: Sequence[str], said: Sequence[str]) -> dict[str, Any]:
    """``wer`` and ``cer`` over all clips together, case and punctuation not counted; changes / what was said.

    ``score``, by which models are compared, falls from 1 to 0 as their mean grows.
    """
    pairs = [(normalised(one), normalised(other)) for one, other in zip(heard, said, strict=True)]
    words = sum(edits(one.split(), other.split()) for one, other in pairs)
    letters = sum(edits(one.replace(" ", ""), other.replace(" ", "")) for one, other in pairs)
    all_words = sum(len(other.split()) for _, other in pairs)
    wer = words / max(1, all_words)
    cer = letters / max(1, sum(len(other.replace(" ", "")) for _, other in pairs))
    return {
        "rows": len(pairs),
        "wer": round(wer, 6),
        "cer": round(cer, 6),
        "score": round(1 / (1 + (wer + cer) / 2), 6),
        "words": all_words,
        "word_errors": words,
    }


def edits(heard: Sequence[Hashable], said: Sequence[Hashable]) -> int:
    """Least number of insertions, deletions and replacements from one sequence to the other (Levenshtein, 1966)."""
    places: dict[Hashable, int] = {}
    one, other = (np.array([places.setdefault(part, len(places)) for part in row], int) for row in (heard, said))
    steps = np.arange(len(other) + 1)
    row = steps.copy()
    for place, part in enumerate(one, start=1):
        changed = np.minimum(row[1:] + 1, row[:-1] + (other != part))
        # what was said but not heard: one more for each step to the right
        row = np.minimum.accumulate(np.concatenate([[place], changed]) - steps) + steps
    return int(row[-1])
