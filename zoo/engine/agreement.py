"""How far two answers to one request agree: by the form of their bodies, not by the task that gave them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

NEAR = 0.1  # relative distance of vectors and of numbers that still agree: a cosine of .995
OVERLAP = 0.5  # of two boxes, intersection over union


def agreement(one: Any, other: Any, *, number: bool = False) -> float:
    """The share of the answers to a request in which two versions agree, from 0 to 1; of a single answer 0 or 1.

    Agree do answers with the same first label, the same text, the same entities, the same boxes (label, and half of
    their areas in common), the same labels of masks, vectors and numbers that are near, and errors of one code.
    ``number``: the model's one label stands for a number that its score is (regression).
    """
    if isinstance(one, list) and isinstance(other, list) and not (_is_answer(one) or _is_answer(other)):
        shares = [agreement(*pair, number=number) for pair in zip(one, other, strict=False)]
        return sum(shares) / max(len(one), len(other))
    return float(_agree(one, other, number))


def _is_answer(body: list[Any]) -> bool:
    """Whether a list is the answer to one item, and not a list of such."""
    first = body[0] if body else None
    if first is None or isinstance(first, int | float):
        return True
    return isinstance(first, dict) and bool({"label", "entity", "entity_group", "token_str"} & first.keys())


def _agree(one: Any, other: Any, number: bool) -> bool:
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return _near(one, other)
    if isinstance(one, dict) and isinstance(other, dict):
        return _same_text(one, other)
    if not (isinstance(one, list) and isinstance(other, list)) or not (one and other):
        return bool(one == other)
    if isinstance(one[0], int | float):
        return _near(one, other)
    if not isinstance(one[0], dict) or not isinstance(other[0], dict):
        return bool(one == other)
    if number and len(one) == len(other) == 1:
        return _near([one[0].get("score")], [other[0].get("score")])
    return _same_finds(one, other)


def _same_finds(one: Sequence[Any], other: Sequence[Any]) -> bool:
    first = one[0]
    if "box" in first:
        return _same_boxes(one, other)
    if "mask" in first:
        return _counted(one, "label") == _counted(other, "label")
    if "entity" in first or "entity_group" in first:
        places = ("entity", "entity_group", "start", "end")
        return _counted(one, *places) == _counted(other, *places)
    name = "token_str" if "token_str" in first else "label"
    return bool(first.get(name) == other[0].get(name))


def _same_text(one: dict[str, Any], other: dict[str, Any]) -> bool:
    for name in ("code", "answer", "translation_text", "summary_text", "text"):
        if name in one or name in other:
            mine, theirs = one.get(name), other.get(name)
            return mine is not None and theirs is not None and str(mine).split() == str(theirs).split()
    return one == other


def _same_boxes(one: Sequence[Any], other: Sequence[Any]) -> bool:
    """Whether each box has a partner of its label, one to one; the nearest partner is taken first."""
    left = list(other)
    for found in one:
        partners = [box for box in left if box.get("label") == found["label"]]
        nearest = max(partners, key=lambda box: _overlap(found["box"], box["box"]), default=None)
        if nearest is None or _overlap(found["box"], nearest["box"]) < OVERLAP:
            return False
        left.remove(nearest)
    return not left


def _overlap(one: dict[str, float], other: dict[str, float]) -> float:
    width = min(one["xmax"], other["xmax"]) - max(one["xmin"], other["xmin"])
    height = min(one["ymax"], other["ymax"]) - max(one["ymin"], other["ymin"])
    common = max(0.0, width) * max(0.0, height)
    whole = sum((box["xmax"] - box["xmin"]) * (box["ymax"] - box["ymin"]) for box in (one, other)) - common
    return common / whole if whole else float(one == other)


def _counted(found: Sequence[Any], *names: str) -> Counter[tuple[Any, ...]]:
    return Counter(tuple(one.get(name) for name in names) for one in found)


def _near(one: Any, other: Any) -> bool:
    mine, theirs = np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)
    if mine.shape != theirs.shape:
        return False
    return math.dist(mine.ravel(), theirs.ravel()) <= NEAR * float(np.linalg.norm(mine)) + 1e-12
