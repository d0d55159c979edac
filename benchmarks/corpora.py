"""Rows of the sets of language in the form that they are uploaded in, and figures of what is said about them."""

from __future__ import annotations

import csv
import gzip
import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from adapters.training.scores import correlation_scores
from adapters.training.spans.scores import Found, answer_scores, entity_scores

Row = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True)
class Kind:
    """One task of the table: sets that have it, the columns it is uploaded with, its figures with the headline first.

    ``scores`` reads what a model said of each row: entities (kind, first character, the one behind the last) of the
    words joined by spaces, an answer, or a number.
    """

    task: str
    sets: tuple[str, ...]
    headline: tuple[str, ...]
    scores: Callable[[Sequence[Any], Sequence[Row]], dict[str, Any]]


def read(folder: Path, part: str, *, most: int = 0, seed: int = 0) -> list[Row]:
    """Rows of one part of a set; see ``some``."""
    return some(list(_rows(folder, part)), most, seed=seed)


def some(rows: list[T], most: int, *, seed: int = 0) -> list[T]:
    """A random choice of so many rows, the same for the same seed; all of them for 0."""
    return random.Random(seed).sample(rows, most) if 0 < most < len(rows) else rows


def write(path: Path, rows: Sequence[Row]) -> Path:
    """JSON lines."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def entities(tokens: Sequence[str], tags: Sequence[str]) -> list[Found]:
    """Entities of BIO tags in the words joined by spaces; an ``I`` that goes on with nothing begins one, as seqeval
    has it."""
    found: list[Found] = []
    start, open_kind = 0, ""
    for token, tag in zip(tokens, tags, strict=True):
        mark, _, kind = tag.partition("-")
        if kind and mark == "I" and kind == open_kind:
            found[-1] = (kind, found[-1][1], start + len(token))
        elif kind:
            found.append((kind, start, start + len(token)))
        open_kind = kind
        start += len(token) + 1
    return found


def _rows(folder: Path, part: str) -> Iterator[Row]:
    if (path := folder / f"{part}.jsonl.gz").is_file():
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for row in map(json.loads, file):
                yield {name: row[name] for name in row.keys() - {"id", "domain"}}
        return
    with gzip.open(folder / f"{part}.csv.gz", "rt", newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            one, other = (
                row.get(new) or row[old] for new, old in (("sentence1", "premise"), ("sentence2", "hypothesis"))
            )
            yield {"sentence1": one, "sentence2": other, "score": float(row.get("score") or row["relatedness"])}


def _entity_scores(said: Sequence[Any], rows: Sequence[Row]) -> dict[str, Any]:
    return entity_scores(said, [entities(row["tokens"], row["ner_tags"]) for row in rows])


def _answer_scores(said: Sequence[Any], rows: Sequence[Row]) -> dict[str, Any]:
    return answer_scores(said, [row["answers"]["text"] for row in rows])


def _correlations(said: Sequence[Any], rows: Sequence[Row]) -> dict[str, Any]:
    return correlation_scores(said, [row["score"] for row in rows])


KINDS = {
    "ner": Kind("token-classification", ("wikineural_en", "broad_twitter"), ("f1",), _entity_scores),
    "qa": Kind("question-answering", ("squadshifts",), ("f1", "exact_match"), _answer_scores),
    "similarity": Kind("sentence-similarity", ("sick", "sts_en"), ("spearman",), _correlations),
}
