"""Figures of found spans: entities as seqeval and CoNLL count them, answers as SQuAD does."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

Found = tuple[str, int, int]
"""Kind, first character, and the one behind the last."""


def entity_scores(found: Sequence[Collection[Found]], true: Sequence[Collection[Found]]) -> dict[str, Any]:
    """Precision, recall and F1 over the entities of all rows together; right is one of the same kind and place.

    As conlleval (Tjong Kim Sang and De Meulder, 2003) and seqeval count them. ``score`` is F1.
    """
    named, there, right = (Counter[str]() for _ in range(3))
    for some, others in zip(found, true, strict=True):
        named.update(kind for kind, _, _ in set(some))
        there.update(kind for kind, _, _ in set(others))
        right.update(kind for kind, _, _ in set(some) & set(others))
    overall = _rates(right.total(), named.total(), there.total())
    return {
        "rows": len(true),
        **overall,
        "score": overall["f1"],
        "per_class": {
            kind: {**_rates(right[kind], named[kind], there[kind]), "support": there[kind]}
            for kind in sorted(named.keys() | there.keys())
        },
    }


def _rates(right: int, named: int, there: int) -> dict[str, float]:
    precision, recall = right / max(1, named), right / max(1, there)
    both = precision + recall
    f1 = 2 * precision * recall / both if both else 0.0
    return {"f1": round(f1, 6), "precision": round(precision, 6), "recall": round(recall, 6)}


def answer_scores(given: Sequence[str], true: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Exact match and F1 of answers, each against the best of its true ones; no true one: the right answer is empty.

    As SQuAD's own script counts (Rajpurkar et al., 2016 and 2018): case, punctuation and articles do not count.
    ``score`` is F1.
    """
    exact, overlap = 0.0, 0.0
    for answer, right in zip(given, true, strict=True):
        wanted = [text for text in right if normalised(text)] or [""]
        exact += max(float(normalised(answer) == normalised(text)) for text in wanted)
        overlap += max(_overlap(answer, text) for text in wanted)
    rows = max(1, len(true))
    f1 = round(overlap / rows, 6)
    return {"rows": len(true), "f1": f1, "exact_match": round(exact / rows, 6), "score": f1}


def normalised(text: str) -> str:
    """In lower case, without punctuation and articles, words apart by one space."""
    plain = "".join(letter for letter in text.lower() if letter not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", plain).split())


def _overlap(answer: str, right: str) -> float:
    """F1 of the words of two texts; of one without words whether the other has none either."""
    given, wanted = normalised(answer).split(), normalised(right).split()
    if not given or not wanted:
        return float(given == wanted)
    shared = (Counter(given) & Counter(wanted)).total()
    return 2 * shared / (len(given) + len(wanted))
