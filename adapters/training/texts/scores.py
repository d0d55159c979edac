"""How near texts are to those that were wanted: chrF and BLEU of translations, ROUGE of summaries.

Each is what its reference program gives with its defaults: sacrebleu's chrF2 and BLEU (13a, exponential smoothing),
rouge_score without stemming.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Any

ORDERS = 6  # letters of the longest group that chrF counts
BETA = 2.0  # recall counts so many times as much
PHRASE = 4  # words of the longest group that BLEU counts

_MARKS = (
    (re.compile(r"([\{-\~\[-\` -\&\(-\+\:-\@\/])"), r" \1 "),
    (re.compile(r"([^0-9])([\.,])"), r"\1 \2 "),
    (re.compile(r"([\.,])([^0-9])"), r" \1 \2"),
    (re.compile(r"([0-9])(-)"), r"\1 \2 "),
)
_ENTITIES = (("<skipped>", ""), ("-\n", ""), ("\n", " "), ("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"))
_WORD = re.compile(r"[a-z0-9]+")


def translation_scores(written: Sequence[str], wanted: Sequence[str]) -> dict[str, Any]:
    """``chrf`` and ``bleu`` over all rows together, 0 to 100; ``score`` is chrF from 0 to 1."""
    chrf = corpus_chrf(written, wanted)
    return {
        "rows": len(wanted),
        "chrf": round(chrf, 4),
        "bleu": round(corpus_bleu(written, wanted), 4),
        "score": round(chrf / 100, 6),
    }


def summary_scores(written: Sequence[str], wanted: Sequence[str]) -> dict[str, Any]:
    """``rouge_l`` and ``rouge_1``, means over rows, 0 to 1; ``score`` is the first."""
    pairs = [
        (_WORD.findall(one.lower()), _WORD.findall(other.lower())) for one, other in zip(written, wanted, strict=True)
    ]
    longest = [_f1(_common(one, other), len(one), len(other)) for one, other in pairs]
    single = [_f1((Counter(one) & Counter(other)).total(), len(one), len(other)) for one, other in pairs]
    count = max(1, len(pairs))
    found = round(sum(longest) / count, 6)
    return {"rows": len(pairs), "rouge_l": found, "rouge_1": round(sum(single) / count, 6), "score": found}


def corpus_chrf(written: Sequence[str], wanted: Sequence[str]) -> float:
    """F score of groups of one to six letters, spaces aside (Popović, "chrF", 2015): 0 to 100."""
    hits, said, meant = ([0] * ORDERS for _ in range(3))
    for one, other in zip(written, wanted, strict=True):
        first, second = ("".join(text.split()) for text in (one, other))
        for place in range(ORDERS):
            mine, theirs = _groups(first, place + 1), _groups(second, place + 1)
            hits[place] += (mine & theirs).total()
            # sacrebleu leaves out what a wanted text has none of
            said[place] += mine.total() if theirs else 0
            meant[place] += theirs.total()
    counted = [counts for counts in zip(hits, said, meant, strict=True) if counts[1] and counts[2]]
    precision = sum(hit / mine for hit, mine, _ in counted) / max(1, len(counted))
    recall = sum(hit / theirs for hit, _, theirs in counted) / max(1, len(counted))
    both = BETA**2 * precision + recall
    return 100 * (1 + BETA**2) * precision * recall / both if both else 0.0


def corpus_bleu(written: Sequence[str], wanted: Sequence[str]) -> float:
    """Groups of one to four words that are right, less what is too short (Papineni et al., "BLEU", 2002): 0 to 100."""
    hits, said = [0] * PHRASE, [0] * PHRASE
    length = meant = 0
    for one, other in zip(written, wanted, strict=True):
        mine, theirs = words(one.rstrip()), words(other.rstrip())
        length, meant = length + len(mine), meant + len(theirs)
        for place in range(PHRASE):
            counted = _groups(mine, place + 1)
            hits[place] += (counted & _groups(theirs, place + 1)).total()
            said[place] += counted.total()
    if not all(said) or not any(hits):
        return 0.0
    smooth, logs = 1.0, 0.0
    for hit, total in zip(hits, said, strict=True):
        if not hit:
            smooth *= 2
        logs += math.log((hit or 1 / smooth) / total)
    short = min(1.0, math.exp(1 - meant / length))
    return 100 * short * math.exp(logs / PHRASE)


def words(text: str) -> list[str]:
    """As the evaluation of the WMT of 2013 cuts a line ("13a")."""
    for sign, plain in _ENTITIES:
        text = text.replace(sign, plain)
    text = f" {text} "
    for pattern, apart in _MARKS:
        text = pattern.sub(apart, text)
    return text.split()


def _groups(parts: Sequence[Hashable], size: int) -> Counter[Sequence[Hashable]]:
    whole = parts if isinstance(parts, str) else tuple(parts)
    return Counter(whole[start : start + size] for start in range(len(whole) - size + 1))


def _plain(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _f1(hits: int, said: int, meant: int) -> float:
    return 2 * hits / (said + meant) if said and meant else 0.0


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """Length of the longest sequence that both hold in this order, with gaps (Lin, "ROUGE", 2004)."""
    row = [0] * (len(other) + 1)
    for word in one:
        above, row = row, [0]
        for place, theirs in enumerate(other, start=1):
            row.append(above[place - 1] + 1 if word == theirs else max(above[place], row[-1]))
    return row[-1]
