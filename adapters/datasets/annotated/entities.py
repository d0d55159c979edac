"""Entities in a text: words with a tag each (BIO), or a text with spans counted in characters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.datasets.annotated.faults import RowFault, place_of, text_of
from adapters.datasets.example import Example, Span
from adapters.datasets.formats import Row
from adapters.datasets.problems import Problem
from adapters.datasets.surrogates import has_surrogate

OUTSIDE = "O"
KIND_CHARACTERS = 200
_START, _END = ("start", "start_offset", "begin"), ("end", "end_offset", "stop")
_KIND = ("label", "entity", "type", "entity_group", "tag", "category", "entity_type")
_SCHEME = "Tag words with O, B-KIND where an entity begins and I-KIND where it goes on."
_WHOLE = "Write the character whole."


def read_entities(row: Row, columns: Mapping[str, str]) -> Example | Problem:
    """The example of a row; a ``Problem`` for tags or spans that cannot be."""
    try:
        text, spans = _read(row.values, columns)
    except RowFault as fault:
        return fault.problem(row)
    return Example(row.number, row.line, {"text": text}, spans=spans)


def spans_of_tags(tags: Sequence[str]) -> list[tuple[str, int, int]]:
    """Kind, first word and the word behind the last one of each entity; raises ``RowFault`` for what is no BIO."""
    found: list[tuple[str, int, int]] = []
    open_kind: str | None = None
    for place, tag in enumerate(tags):
        mark, _, kind = tag.partition("-")
        if tag != OUTSIDE and (mark not in ("B", "I") or not kind.strip() or len(kind) > KIND_CHARACTERS):
            raise RowFault("invalid_tag", f"tag {place + 1} is neither O nor B-… nor I-…", _SCHEME)
        if has_surrogate(kind):
            raise RowFault("invalid_text", f"tag {place + 1} holds half of a surrogate pair", _WHOLE)
        if mark == "I" and kind != open_kind:
            said = f"tag {place + 1} goes on with an entity (I-) that does not begin before it"
            raise RowFault("impossible_tags", said, f"Write B- where an entity begins. {_SCHEME}")
        if mark == "I":
            found[-1] = (kind, found[-1][1], place + 1)
        elif mark == "B":
            found.append((kind, place, place + 1))
        open_kind = kind if tag != OUTSIDE else None
    return found


def _read(values: Mapping[str, object], columns: Mapping[str, str]) -> tuple[str, tuple[Span, ...]]:
    text, marks = values.get(columns["text"]), values.get(columns["spans"])
    if not isinstance(marks, list):
        fix = "Write a list: a tag for each word, or objects with start, end and label."
        raise RowFault("wrong_type", "the spans are no list", fix, column=columns["spans"])
    try:
        if isinstance(text, list):
            return _of_tags(text, marks, columns)
        return _of_spans(text_of(text, "text", columns["text"]), marks)
    except RowFault as fault:
        fault.column = fault.column or columns["spans"]
        raise


def _of_tags(
    words: Sequence[object], tags: Sequence[object], columns: Mapping[str, str]
) -> tuple[str, tuple[Span, ...]]:
    """Words with a space between them."""
    if not words:
        raise RowFault("empty_text", "there are no words", "Write words or delete the row.", column=columns["text"])
    for place, word in enumerate(words):
        if not isinstance(word, str) or not word.strip():
            said = f"word {place + 1} is empty or no string"
            raise RowFault("wrong_type", said, "Write a list of strings.", column=columns["text"])
        text_of(word, "text", columns["text"])
    for place, tag in enumerate(tags):
        if not isinstance(tag, str):
            said = f"tag {place + 1} is no string"
            raise RowFault("invalid_tag", said, f"Write names, not numbers. {_SCHEME}")
    if len(words) != len(tags):
        said = f"there are {len(words):,} words and {len(tags):,} tags"
        raise RowFault("tag_count", said, "Write one tag for each word.")
    starts, place = [], 0
    for word in map(str, words):
        starts.append(place)
        place += len(word) + 1
    spans = (
        Span(kind, starts[first], starts[last - 1] + len(str(words[last - 1])))
        for kind, first, last in spans_of_tags([str(tag) for tag in tags])
    )
    return " ".join(map(str, words)), tuple(spans)


def _of_spans(text: str, marks: Sequence[object]) -> tuple[str, tuple[Span, ...]]:
    spans = [(_span(mark, place, text), place) for place, mark in enumerate(marks, start=1)]
    spans.sort(key=lambda pair: (pair[0].start, pair[0].end))
    for (before, first), (behind, second) in zip(spans, spans[1:], strict=False):
        if behind.start < before.end:
            said = f"spans {min(first, second)} and {max(first, second)} overlap"
            raise RowFault("overlapping_spans", said, "Keep one of them: a word has one tag.")
    return text, tuple(span for span, _ in spans)


def _span(mark: object, place: int, text: str) -> Span:
    if isinstance(mark, list | tuple) and len(mark) == 3:  # [start, end, label], as spaCy and doccano write it
        mark = dict(zip(("start", "end", "label"), mark, strict=True))
    if not isinstance(mark, dict):
        raise RowFault("invalid_span", f"span {place} is no object", "Write objects with start, end and label.")
    start, end = place_of(_first(mark, _START)), place_of(_first(mark, _END))
    kind = _first(mark, _KIND)
    if start is None or end is None or not isinstance(kind, str) or not kind.strip():
        said = f"span {place} lacks a whole number for start or end, or a label"
        raise RowFault("invalid_span", said, "Write start, end and label; end is the place behind the last character.")
    if len(kind) > KIND_CHARACTERS:
        said = f"the label of span {place} is longer than {KIND_CHARACTERS} characters"
        raise RowFault("label_too_long", said, "Use a short name for each kind.")
    if has_surrogate(kind):
        raise RowFault("invalid_text", f"the label of span {place} holds half of a surrogate pair", _WHOLE)
    if kind.strip() == OUTSIDE:
        said = f"the label of span {place} is {OUTSIDE}, which stands for words outside of all entities"
        raise RowFault("invalid_span", said, "Leave such spans out, or give the kind another name.")
    if not 0 <= start < end <= len(text):
        said = f"span {place} is from {start} to {end}, but the text has {len(text):,} characters"
        raise RowFault("span_outside", said, "Count characters from 0; end is the place behind the last one.")
    _check_words(mark.get("text"), text, start, end, place)
    inside = text[start:end]
    if not inside.strip():
        raise RowFault("invalid_span", f"span {place} holds spaces alone", "Let it begin and end at words.")
    return Span(kind.strip(), start + len(inside) - len(inside.lstrip()), end - len(inside) + len(inside.rstrip()))


def _check_words(said: object, text: str, start: int, end: int, place: int) -> None:
    """Raise ``RowFault`` where a span tells its text, and another one stands at its place."""
    if not isinstance(said, str) or not said or said == text[start:end]:
        return
    where = text.find(said)
    hint = f"it stands at {where}" if where >= 0 else "it stands nowhere in the text"
    message = f"span {place}, from {start} to {end}, does not hold the text that it tells; {hint}"
    raise RowFault("span_mismatch", message, "Count characters, not bytes or UTF-16 units, from 0 in this very text.")


def _first(mark: Mapping[Any, Any], names: Sequence[str]) -> object:
    return next((mark[name] for name in names if name in mark), None)
