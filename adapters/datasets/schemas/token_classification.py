"""Token classification: a text and the entities in it."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.datasets.annotated.entities import read_entities
from adapters.datasets.formats import Row
from adapters.datasets.schema import Role, Schema

_WORDS = ("tokens", "words")
_TAGS = ("tags", "ner_tags", "ner", "bio_tags")
_SPANS = ("spans", "entities", "annotations", "label", "labels")
_TEXTS = ("text", "sentence", "content", "data", "document")


def _recognises(sample: Sequence[Row]) -> bool:
    """Words beside tags in most rows, or texts beside lists of objects: lists of names are labels of whole texts."""
    tagged = [row for row in sample if _held(row, _WORDS, list) is not None and _held(row, _TAGS, list) is not None]
    if 2 * len(tagged) > len(sample):
        return True
    lists = [_held(row, _SPANS, list) for row in sample if _held(row, _TEXTS, str) is not None]
    marks = [found for found in lists if isinstance(found, list)]
    objects = all(isinstance(mark, dict | list) for found in marks for mark in found)
    return 2 * len(marks) > len(sample) and any(marks) and objects


def _held(row: Row, names: Sequence[str], kind: type) -> object:
    """The value of a kind under one of some names."""
    return next((value for name in names if isinstance(value := row.values.get(name), kind)), None)


SCHEMA = Schema(
    task="token-classification",
    needs="a JSONL (or Parquet) of tokens with tags (BIO), or of texts with spans",
    roles=(
        Role(name="text", kind="text", names=(*_WORDS, *_TEXTS)),
        Role(name="spans", kind="marks", names=(*_TAGS, *_SPANS)),
    ),
    read=read_entities,
    recognises=_recognises,
)
