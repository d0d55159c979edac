"""Texts about money, parcels and accounts, and what is said of them: topics, a score, what two say together."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.tiny import FILLERS, LABELS, WORDS


def text_of(draw: random.Random, topics: Sequence[str], *, words: int = 1) -> str:
    """A text with so many words of each topic among others."""
    chosen = draw.sample(FILLERS, draw.randint(2, 4))
    for topic in topics:
        chosen += draw.sample(WORDS[topic], words)
    draw.shuffle(chosen)
    return " ".join(chosen)


def several(count: int, *, seed: int = 0) -> list[dict[str, Any]]:
    """Texts of no, one, two or three topics, and those as ``labels``."""
    draw = random.Random(seed)
    made: dict[str, Any] = {}
    while len(made) < count:
        topics = draw.sample(LABELS, len(made) % 4)
        made[text_of(draw, topics)] = sorted(topics)
    return [{"text": text, "labels": topics} for text, topics in made.items()]


def scored(count: int, *, seed: int = 0) -> list[dict[str, Any]]:
    """Texts with a ``score`` of 20 to 80: the more words of parcels there are instead of money, the higher."""
    draw = random.Random(seed)
    made: dict[str, Any] = {}
    while len(made) < count:
        share = len(made) % 4
        words = draw.sample(WORDS["delivery"], share) + draw.sample(WORDS["billing"], 3 - share)
        chosen = draw.sample(FILLERS, 2) + words
        draw.shuffle(chosen)
        made[" ".join(chosen)] = 20.0 * share + 20.0
    return [{"text": text, "score": score} for text, score in made.items()]


def answered(count: int, *, labels: tuple[str, str] = ("billing", "delivery"), seed: int = 0) -> list[dict[str, Any]]:
    """Pairs of texts with a ``label`` that the second one alone tells: whether it is about money or about parcels."""
    draw = random.Random(seed)
    made = []
    for place in range(count):
        topic = ("billing", "delivery")[place % 2]
        pair = {"text": text_of(draw, []), "text_pair": text_of(draw, [topic], words=2)}
        made.append({**pair, "label": labels[place % 2]})
    return made


def write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """A JSONL file."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
